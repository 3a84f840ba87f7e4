"""What the loop expects of an engine, the part that really signs.

An engine has one method, `handle(request, store) -> bytes`: it answers the signer message in request.raw, and reads
and writes the state through store (store.py says how). The entries that came with the request are merged already.
request is a protobuf.HsmRequest. Every write must raise the version or change the signature.

To refuse a request it raises EngineError before it writes anything. Any other exception is a fault of the engine:
the request is answered with an ERROR frame, and the loop goes on.
"""


class EngineError(Exception):
    """The engine refuses the request; the text goes into HsmResponse.error and no state is returned."""
