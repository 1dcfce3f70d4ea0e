import { NetError } from '@net/types'

/** No driver of this type is registered. */
export class NoSuchDriverError extends NetError<'ERR_NO_SUCH_DRIVER'> {
  constructor(type: string, known: readonly string[], plugins?: { readonly error: Error }) {
    const looked = plugins === undefined ? '' : `; ${plugins.error.message}`
    super(`no such network driver: ${JSON.stringify(type)}; known: ${known.join(', ')}${looked}`, {
      code: 'ERR_NO_SUCH_DRIVER',
      kind: 'not-found',
      cause: plugins?.error,
    })
  }
}

/** A driver of this type is registered already. */
export class DriverExistsError extends NetError<'ERR_DRIVER_EXISTS'> {
  constructor(type: string) {
    super(`network driver ${JSON.stringify(type)} is already registered`, {
      code: 'ERR_DRIVER_EXISTS',
      kind: 'forbidden',
    })
  }
}

/** A driver type must have a name. */
export class InvalidDriverTypeError extends NetError<'ERR_INVALID_DRIVER_TYPE'> {
  constructor(type: string) {
    super(`invalid network driver type ${JSON.stringify(type)}: expected a name that is not blank`, {
      code: 'ERR_INVALID_DRIVER_TYPE',
      kind: 'bad-request',
    })
  }
}
