import { StoreVersionError, ValueDamagedError } from '@net/datastore'
import { encodeBase64 } from './base64.ts'
import type { Gateway } from './gateway.ts'
import { decodeRange, decodeTransaction } from './replies.ts'

/** Of keys and values below the prefix. */
const FORMAT = 1

/** Says below the prefix which format the rest has, or refuses one that is newer. @throws `ERR_STORE_VERSION` */
export async function checkFormat(gateway: Gateway, prefix: string): Promise<void> {
  const name = `${prefix}format`
  const key = encodeBase64(name)
  const text = (await readText(gateway, key)) ?? (await writeFormat(gateway, key))
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new ValueDamagedError(name, 'expected the number of a format')
  if (Number(text) > FORMAT) throw new StoreVersionError(`etcd below ${prefix}`, Number(text), FORMAT)
}

async function readText(gateway: Gateway, key: string): Promise<string | undefined> {
  const { entries } = await gateway.read({ path: 'kv/range', body: { key }, decode: (reply) => decodeRange(reply, 1) })
  return entries[0] && Buffer.from(entries[0].value).toString()
}

/** Two may come at the same time: what the first one wrote stays. Returns what is there. */
async function writeFormat(gateway: Gateway, key: string): Promise<string> {
  const { succeeded } = await gateway.write({
    path: 'kv/txn',
    body: {
      compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision: '0' }],
      success: [{ request_put: { key, value: encodeBase64(String(FORMAT)) } }],
    },
    decode: (reply) => decodeTransaction(reply, { success: 1, failure: 0 }),
  })
  return succeeded ? String(FORMAT) : ((await readText(gateway, key)) ?? '')
}
