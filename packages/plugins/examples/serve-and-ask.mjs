import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PluginClient, servePlugin, textOf } from '@net/plugins'

// A program that answers one call. For Docker, its socket would be /run/docker/plugins/echo.sock.
const folder = await mkdtemp(join(tmpdir(), 'plugins-'))
const plugin = await servePlugin(
  {
    kind: 'NetworkDriver',
    methods: {
      Echo: async (body) => {
        const text = textOf(body, 'Text', (why) => {
          throw new Error(why)
        })
        if (text === '') throw new Error('nothing to say')
        return { answer: { Text: text.toUpperCase() } }
      },
    },
    answerOf: (error) => ({ Err: error.message }),
  },
  { path: join(folder, 'echo.sock') },
)

// One that finds it by its name, and asks; it may be another process.
const client = new PluginClient(
  { name: 'echo', socketFolders: [folder], timeoutMs: 1000 },
  { kind: 'NetworkDriver', errorField: 'Err' },
)
await client.activate()
console.log(await client.call('Echo', { Text: 'hello' })) // { Text: 'HELLO' }

try {
  await client.call('Echo', { Text: '' })
} catch (error) {
  console.log(error.code, error.message) // ERR_PLUGIN_REFUSED remote: nothing to say
}

await plugin.close()
await rm(folder, { recursive: true })
