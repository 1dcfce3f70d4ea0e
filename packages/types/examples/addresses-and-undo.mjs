import { containsAddress, formatAddress, isNetError, parseAddress, parseCidr, Rollback } from '@net/types'

// Addresses are numbers once they are read, and have one spelling when they are written.
const address = parseAddress('FD00:0:0:1::00AB')
console.log(formatAddress(address)) // fd00:0:0:1::ab
console.log(containsAddress(parseCidr('fd00::/48'), address)) // true

// Errors are told apart by their codes, not by their classes or messages.
try {
  parseAddress('10.0.0.07')
} catch (error) {
  console.log(isNetError(error, 'ERR_INVALID_ADDRESS'), error.kind) // true bad-request
}

// Several steps, all of them or none.
async function attach(addRoute) {
  const rollback = new Rollback()
  try {
    rollback.defer('create link', () => console.log('link deleted'))
    rollback.defer('add address', () => console.log('address removed'))
    addRoute()
    rollback.commit()
  } finally {
    await rollback[Symbol.asyncDispose]()
  }
}

await attach(() => console.log('route added')) // route added
await attach(() => {
  throw new Error('no route')
}).catch((error) => console.log(error.message)) // address removed, link deleted, no route
