import koffi from 'koffi'

/** Memory that does not move, with its address. It is never given back: for what lives as long as the process. */
export function allocateFixed(lengthBytes: number): { readonly bytes: Uint8Array; readonly address: bigint } {
  const pointer: unknown = koffi.alloc('uint8_t', lengthBytes)
  const bytes = new Uint8Array(koffi.view(pointer, lengthBytes))
  return { bytes: bytes.fill(0), address: koffi.address(pointer) }
}
