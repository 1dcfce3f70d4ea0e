import { viewOf } from './attributes.ts'
import { allocateFixed } from './fixed-memory.ts'
import { littleEndian } from './writer.ts'

// linux/bpf_common.h: class, size and mode of instructions
const LOAD_WORD = 0x20
const LOAD_HALF_WORD = 0x28
const LOAD_BYTE = 0x30
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const ALL = 0xffffffff
const NOTHING = 0
/** BPF_MAXINSNS would be 4 096. */
const MOST_INSTRUCTIONS = 16
/** struct sock_filter */
const INSTRUCTION_BYTES = 8
/** struct sock_fprog: a count, and where the instructions are. */
const PROGRAM_BYTES = 16

/** A number of a message, in the machine's byte order: where it lies from the netlink header on, and its length. */
export interface Field {
  readonly offset: number
  readonly bytes: 1 | 2 | 4
}

/** What becomes of a message whose field has a value; where it has another, the next test decides. */
export interface FieldTest {
  readonly field: Field
  readonly is: number
  readonly then: 'pass' | 'drop'
}

let instructions: ReturnType<typeof allocateFixed> | undefined

/**
 * A socket filter (struct sock_fprog, linux/filter.h) that asks one thing after another of each message, and does as the
 * first says that applies; `otherwise` where none does. The kernel copies it: it is valid until the next call.
 */
export function filterOf(tests: readonly FieldTest[], otherwise: FieldTest['then']): Uint8Array {
  const steps = [...tests.flatMap(instructionsOf), ...verdict(otherwise)]
  instructions ??= allocateFixed(MOST_INSTRUCTIONS * INSTRUCTION_BYTES)
  const code = viewOf(instructions.bytes)
  for (const [at, { operation, skipUnless = 0, operand }] of steps.entries()) {
    const offset = at * INSTRUCTION_BYTES
    code.setUint16(offset, operation, littleEndian)
    code.setUint8(offset + 2, 0)
    code.setUint8(offset + 3, skipUnless)
    code.setUint32(offset + 4, operand, littleEndian)
  }
  const program = new Uint8Array(PROGRAM_BYTES)
  viewOf(program).setUint16(0, steps.length, littleEndian)
  viewOf(program).setBigUint64(8, instructions.address, littleEndian)
  return program
}

interface Instruction {
  readonly operation: number
  /** How many of the next to pass over unless a comparison holds. */
  readonly skipUnless?: number
  readonly operand: number
}

/** A message that is too short for the field is dropped: the kernel sends none. */
function instructionsOf({ field, is, then }: FieldTest): Instruction[] {
  const operation = { 1: LOAD_BYTE, 2: LOAD_HALF_WORD, 4: LOAD_WORD }[field.bytes]
  return [
    { operation, operand: field.offset },
    { operation: JUMP_IF_EQUAL, skipUnless: 1, operand: asLoaded(is, field.bytes) },
    ...verdict(then),
  ]
}

function verdict(then: FieldTest['then']): Instruction[] {
  return [{ operation: RETURN, operand: then === 'pass' ? ALL : NOTHING }]
}

/** Filters load numbers as the network has them; messages of netlink are in the machine's byte order. */
function asLoaded(value: number, bytes: Field['bytes']): number {
  const loaded = new DataView(new ArrayBuffer(4))
  if (bytes === 1) return value
  if (bytes === 2) {
    loaded.setUint16(0, value, littleEndian)
    return loaded.getUint16(0)
  }
  loaded.setUint32(0, value, littleEndian)
  return loaded.getUint32(0)
}
