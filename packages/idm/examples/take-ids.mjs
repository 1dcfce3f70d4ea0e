import { Idm } from '@net/idm'

// The ids of VXLAN networks.
const vnis = new Idm({ first: 4096, last: 2 ** 24 - 1 })

console.log(vnis.take(), vnis.take()) // 4096 4097
vnis.takeSpecific(5000)
console.log(vnis.take({ within: { first: 5000, last: 5999 } })) // 5001

// A released id is the next one taken, or rests a while with serial.
vnis.release(4096)
console.log(vnis.take({ serial: true })) // 5002
console.log(vnis.take()) // 4096

try {
  vnis.takeSpecific(5000)
} catch (error) {
  console.log(error.code) // ERR_ID_IN_USE
}
