import { NetError } from '@net/types'

/** Every id of the range is held. */
export class NoIdAvailableError extends NetError<'ERR_NO_ID_AVAILABLE'> {
  constructor(first: number, last: number, cause?: unknown) {
    super(`no id available between ${first} and ${last}`, { code: 'ERR_NO_ID_AVAILABLE', kind: 'no-service', cause })
  }
}

/** The very id asked for is held. */
export class IdInUseError extends NetError<'ERR_ID_IN_USE'> {
  constructor(id: number) {
    super(`requested id is already in use: ${id}`, { code: 'ERR_ID_IN_USE', kind: 'forbidden' })
  }
}

/** The id asked for is none of the set. */
export class IdOutOfRangeError extends NetError<'ERR_ID_OUT_OF_RANGE'> {
  constructor(id: number, first: number, last: number) {
    super(`requested id does not belong to the set: ${id} is not one of ${first} to ${last}`, {
      code: 'ERR_ID_OUT_OF_RANGE',
      kind: 'bad-request',
    })
  }
}

/** A range that ends before it begins, or reaches past what it must lie in. */
export class InvalidRangeError extends NetError<'ERR_INVALID_RANGE'> {
  constructor(first: number, last: number, expected: string) {
    super(`invalid set range: [${first}, ${last}], expected ${expected}`, {
      code: 'ERR_INVALID_RANGE',
      kind: 'bad-request',
    })
  }
}

/** A name of a set of ids that cannot be part of a key. */
export class InvalidNameError extends NetError<'ERR_INVALID_NAME'> {
  constructor(name: string) {
    super(`invalid name ${JSON.stringify(name)}: expected 1 to 200 letters, digits, dots, dashes and underscores`, {
      code: 'ERR_INVALID_NAME',
      kind: 'bad-request',
    })
  }
}
