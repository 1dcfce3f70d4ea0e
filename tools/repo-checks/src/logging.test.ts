import { describe, expect, it } from 'vitest'
import { packages, read, sourcesOf } from './workspace.ts'

/** A call of a logger whose fields have an `error`: pino writes errors out in the field `err` only. */
const HIDDEN_ERROR = /ogger\.(?:debug|info|warn|error)\(\s*\{(?:[^{}]*?,)?\s*error(?::|,| \})/g

describe.each(packages.map((entry) => [entry.name, entry] as const))('%s', (_name, entry) => {
  it('logs errors where loggers write them out', () => {
    const found = sourcesOf(entry).flatMap((path) => {
      return Array.from(read(entry.folder, path).matchAll(HIDDEN_ERROR), ([text]) => `${path}: ${text}`)
    })

    expect(found).toEqual([])
  })
})
