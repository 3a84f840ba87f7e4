// A 32-bit MicroPython in WebAssembly that answers frames, one a line (hex) on stdin; the line "restart" starts it anew.
// Arguments: JSON {vm: path of micropython.mjs, files: {path on the VM: path on the host}, begin: program}.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const job = JSON.parse(process.argv[2]);
const { loadMicroPython } = await import(pathToFileURL(job.vm));
const vm = await loadMicroPython({ stdout: (line) => console.log(line), linebuffer: true });
for (const [there, here] of Object.entries(job.files)) {
  vm.FS.mkdirTree(dirname(`/repo/${there}`));
  vm.FS.writeFile(`/repo/${there}`, readFileSync(here));
}
vm.FS.chdir("/repo");
for (const program of ["import gc, sys\nsys.path[:0] = ['']\n", "import bench_steps\n", job.begin]) {
  vm.runPython(program);
}
// Garbage is collected when a program has ended, so the collection must be a program of its own.
const EVERY = 8;
let count = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (count++ % EVERY === 0) {
    vm.runPython("gc.collect()\n");
    vm.runPython("bench_steps.look()\n");
  }
  vm.runPython(line === "restart" ? job.begin : `bench_steps.answer("${line}")\n`);
}
