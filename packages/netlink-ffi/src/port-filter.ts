import { viewOf } from './attributes.ts'
import { allocateFixed } from './fixed-memory.ts'
import { littleEndian } from './writer.ts'

// linux/filter.h, linux/bpf_common.h: class, size and mode of instructions
const LOAD_WORD = 0x20
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const ALL = 0xffffffff
/** struct nlmsghdr: nlmsg_pid */
const PORT_OFFSET = 12
const INSTRUCTION_BYTES = 8
/** struct sock_fprog: a count, and where the instructions are. */
const PROGRAM_BYTES = 16

let instructions: ReturnType<typeof allocateFixed> | undefined

/**
 * A socket filter (struct sock_fprog) that lets all messages pass but those whose header bears `port`. The kernel
 * copies it: it is valid until the next call.
 */
export function filterOf(port: number): Uint8Array {
  const steps = [
    [LOAD_WORD, 0, 0, PORT_OFFSET],
    [JUMP_IF_EQUAL, 0, 1, asLoaded(port)],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, ALL],
  ] as const
  instructions ??= allocateFixed(steps.length * INSTRUCTION_BYTES)
  const code = viewOf(instructions.bytes)
  steps.forEach(([operation, jumpIf, jumpElse, operand], at) => {
    const offset = at * INSTRUCTION_BYTES
    code.setUint16(offset, operation, littleEndian)
    code.setUint8(offset + 2, jumpIf)
    code.setUint8(offset + 3, jumpElse)
    code.setUint32(offset + 4, operand, littleEndian)
  })
  const program = new Uint8Array(PROGRAM_BYTES)
  viewOf(program).setUint16(0, steps.length, littleEndian)
  viewOf(program).setBigUint64(8, instructions.address, littleEndian)
  return program
}

/** Filters load words as the network has them; headers of netlink are in the machine's byte order. */
function asLoaded(port: number): number {
  const word = new DataView(new ArrayBuffer(4))
  word.setUint32(0, port, littleEndian)
  return word.getUint32(0)
}
