import { expect, it } from 'vitest'
import { runProgram } from './commands.ts'

it('hands on what a program wrote', async () => {
  expect(await runProgram('cat', [], '*filter\n')).toBe('*filter\n')
})

it('says which program is missing, and what to do', async () => {
  await expect(runProgram('no-such-iptables', [], '')).rejects.toMatchObject({
    ...{ code: 'ERR_IPTABLES_MISSING', kind: 'not-implemented' },
    message: 'no-such-iptables could not be started: install iptables, or use nftables',
  })
})

it('says what a program said when it failed, up to a length', async () => {
  await expect(runProgram('sh', ['-c', 'echo line 7 failed >&2; exit 2'], '')).rejects.toMatchObject({
    ...{ code: 'ERR_IPTABLES_FAILED', kind: 'no-service', message: 'sh failed with status 2: line 7 failed' },
  })
  const failing = runProgram('sh', ['-c', 'yes >&2 & sleep 0.05; kill $!; exit 1'], '')
  const error = await failing.catch((reason: unknown) => reason as Error)
  expect(String(error).length).toBeLessThan(1_200)
})

it('knows the words for a lack of rights', async () => {
  const words = 'iptables-restore: Could not fetch rule set generation id: Permission denied (you must be root)'

  await expect(runProgram('sh', ['-c', `echo '${words}' >&2; exit 4`], '')).rejects.toMatchObject({
    code: 'ERR_NOT_PERMITTED',
  })
})

it('survives a program that ends without reading', async () => {
  await expect(runProgram('false', [], 'x'.repeat(1_000_000))).rejects.toMatchObject({ code: 'ERR_IPTABLES_FAILED' })
})

it('does not listen to a program that says too much', async () => {
  await expect(runProgram('yes', [], '')).rejects.toMatchObject({
    ...{ code: 'ERR_IPTABLES_FAILED', message: 'yes failed with status none: more than 67108864 bytes of output' },
  })
})
