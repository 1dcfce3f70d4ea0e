import type { ErrorKind } from '@net/types'
import { z } from 'zod'
import { InvalidControlMessageError } from '../errors.ts'
import { checkForward, forwardForm, type Forward } from '../forward.ts'

/** Forwards in one message at most; more take several. */
export const FORWARDS_PER_MESSAGE = 150

/** What a proxy process is asked: a line of JSON. */
export type ControlRequest =
  /** Serve those no more, and then these: all of it or nothing. */
  | {
      readonly id: number
      readonly do: 'change'
      readonly remove: readonly Forward[]
      readonly add: readonly Forward[]
    }
  /** The forwards from the one at this place on, as many as fit into a message. */
  | { readonly id: number; readonly do: 'list'; readonly from: number }

/** Its answer: a line of JSON. */
export interface ControlReply {
  /** The request's. */
  readonly id: number
  /** The process that answers. */
  readonly pid: number
  /** Of a list. */
  readonly forwards: readonly Forward[]
  /** Why nothing of it was done. */
  readonly error?: { readonly code: string; readonly kind: ErrorKind; readonly message: string } | undefined
}

const id = z.int().min(0)
const forwards = z.array(forwardForm).max(FORWARDS_PER_MESSAGE)
/** A port of the kernel's choice would have a name that only one side knows. */
const named = forwards.refine((all) => all.every(({ port }) => port > 0), 'expected ports from 1 on')

const requestForm: z.ZodType<ControlRequest> = z.discriminatedUnion('do', [
  z.strictObject({ id, do: z.literal('change'), remove: named, add: named }),
  z.strictObject({ id, do: z.literal('list'), from: z.int().min(0) }),
])

const kind: z.ZodType<ErrorKind> = z.enum([
  ...(['bad-request', 'not-found', 'forbidden', 'no-service', 'retry', 'timeout', 'not-implemented'] as const),
  'internal',
])

const replyForm: z.ZodType<ControlReply> = z.strictObject({
  id,
  pid: z.int(),
  forwards,
  error: z.strictObject({ code: z.string(), kind, message: z.string() }).optional(),
})

/** @throws InvalidControlMessageError (`ERR_INVALID_CONTROL_MESSAGE`) */
export function parseRequest(line: string): ControlRequest {
  const request = parse(requestForm, line)
  if (request.do === 'list') return request
  return { ...request, remove: request.remove.map(checkForward), add: request.add.map(checkForward) }
}

/** @throws InvalidControlMessageError (`ERR_INVALID_CONTROL_MESSAGE`) */
export function parseReply(line: string): ControlReply {
  return parse(replyForm, line)
}

/** A message as a line. */
export function formatMessage(message: ControlRequest | ControlReply): string {
  return `${JSON.stringify(message)}\n`
}

function parse<T>(form: z.ZodType<T>, line: string): T {
  const result = form.safeParse(jsonOf(line))
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new InvalidControlMessageError(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not understood'}`)
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // What is wrong with it is of no use to whoever sent it.
    throw new InvalidControlMessageError('expected JSON')
  }
}
