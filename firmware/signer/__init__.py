"""The signer loop: HsmRequest in, merge, engine, HsmResponse out. It knows nothing of backups. See README.md here."""
