import { attributes, be32, bytes, zstring, type AttributeCodec } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'

/**
 * What becomes of a packet. `jump` comes back to the rule after, `goto` does not.
 * `continue` goes on with the next rule, `return` with the chain that jumped here.
 */
export type NftVerdict = 'accept' | 'drop' | 'continue' | 'return' | `jump ${string}` | `goto ${string}`

/** linux/netfilter.h: NF_*; linux/netfilter/nf_tables.h: enum nft_verdicts. */
const codes = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const
const names = new Map(Object.entries(codes).map(([name, code]) => [code as number, name]))

/** enum nft_verdict_attributes. */
const verdictAttributes = attributes({ code: [1, be32], chain: [2, zstring] })

const verdict: AttributeCodec<NftVerdict> = {
  nested: true,
  write(writer, value) {
    const space = value.indexOf(' ')
    const name = (space < 0 ? value : value.slice(0, space)) as keyof typeof codes
    // Written as the 32 bits that the negative number is.
    verdictAttributes.write(writer, {
      code: codes[name] >>> 0,
      chain: space < 0 ? undefined : value.slice(space + 1),
    })
  },
  read(all, start, end) {
    const { code, chain } = verdictAttributes.read(all, start, end)
    const name = code === undefined ? undefined : names.get(code | 0)
    if (name === undefined) throw new MalformedMessageError(`verdict ${code ?? 'missing'}`, 0)
    const needsChain = name === 'jump' || name === 'goto'
    if (needsChain !== (chain !== undefined)) throw new MalformedMessageError(`${name} to ${chain ?? 'no chain'}`, 0)
    return (chain === undefined ? name : `${name} ${chain}`) as NftVerdict
  },
}

/** enum nft_data_attributes: bytes or a verdict, for keys, data and operands. */
export const dataAttributes = attributes({ value: [1, bytes], verdict: [2, verdict] })
