// Runs programs, one after another, on the 32-bit MicroPython in WebAssembly.
// stdin: JSON {vm: path of micropython.mjs, files: {path on the VM: path on the host}, path: [sys.path entries], programs}.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(readFileSync(0, "utf8"));
const { loadMicroPython } = await import(pathToFileURL(job.vm));
const vm = await loadMicroPython({ stdout: (line) => console.log(line), linebuffer: true });

for (const [there, here] of Object.entries(job.files)) {
  vm.FS.mkdirTree(dirname(`/repo/${there}`));
  vm.FS.writeFile(`/repo/${there}`, readFileSync(here));
}
vm.FS.chdir("/repo");
try {
  vm.runPython(`import sys\nsys.path[:0] = ${JSON.stringify(job.path)}\n`);
  for (const program of job.programs) {
    vm.runPython(program);
  }
} catch (error) {
  console.log(String(error));
  process.exitCode = 1;
}
