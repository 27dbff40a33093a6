// @types/node has no WebAssembly globals, and lib "dom" would bring the browser in.
declare namespace WebAssembly {
  type Exports = Record<string, unknown>;
  function instantiate(bytes: Uint8Array, imports: Record<string, unknown>): Promise<{ instance: { exports: Exports } }>;
}
