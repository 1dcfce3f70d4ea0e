import {
  showIsolation,
  publishPorts,
  showNames,
  showPublished,
  showReach,
  takePortsBack,
  type Published,
} from './acts.ts'
import { gatherCast, startPrograms, type Cast } from './cast.ts'
import { folderOf, joinFirstContainer } from './first-container.ts'
import { leftoversOf, portsStillTaken, takeInventory } from './leftovers.ts'
import { Recorder, type Output, type Result } from './report.ts'
import { formatSettings, readForwarding, restoreSettings } from './settings.ts'
import { Stage, type Place } from './stage.ts'
import { survey } from './survey.ts'
import { drawTopology } from './topology.ts'

/** What the demo needs from the program around it. */
export interface DemoDeps {
  readonly output: Output
  /** Ends the demo early. What it has made is unmade all the same. */
  readonly signal: AbortSignal
  /** Called while everything stands; the teardown waits for it. */
  readonly linger?: ((key: string, published: Published) => Promise<void>) | undefined
}

/**
 * Shows the whole stack working in the calling thread's network, tears everything down and counts what is left.
 * Does not throw: what went wrong is a failed check.
 */
export async function runDemo(place: Place, deps: DemoDeps): Promise<Result> {
  const { output, signal } = deps
  const recorder = new Recorder(output, signal)
  const stage = new Stage(place, recorder, signal)
  const settings = readForwarding()
  const before = inventory(stage)
  stage.defer('put forwarding back', () => {
    restoreSettings(settings)
  })
  try {
    await perform(stage, deps)
  } catch (error) {
    if (!signal.aborted) recorder.fail('the demo runs to its end', error)
  }
  recorder.heading('Teardown')
  try {
    await stage.tearDown()
  } catch (error) {
    recorder.fail('the teardown is complete', error)
  }
  const leftovers = [...leftoversOf(before, inventory(stage)), ...portsStillTaken(stage.published)]
  return { checks: recorder.checks, timings: recorder.timings, leftovers }

  function inventory({ controllers }: Stage): string[] {
    const controllerFolders = controllers.map((controller) => folderOf(controller, place.runtimeDirectory))
    const known = new Set(settings.keys())
    const forwarding = new Map([...readForwarding()].filter(([path]) => known.has(path)))
    return [...takeInventory({ folder: place.folder, controllerFolders }), ...formatSettings(forwarding)]
  }
}

async function perform(stage: Stage, { linger }: DemoDeps): Promise<void> {
  const { recorder } = stage
  recorder.heading('A container joins a network')
  const first = await joinFirstContainer(stage)

  recorder.heading('More of them, and an outside')
  const cast = await gatherCast(stage, first)
  const clients = await startPrograms(stage, cast)
  const published = await publishPorts(stage, cast)
  draw(stage, cast, published)

  await showReach(stage, cast, clients)
  await showNames(stage, cast, clients)
  await showPublished(stage, cast, clients, published)
  await showIsolation(stage, cast, clients, published)
  await linger?.(first.sandbox.key, published)
  await takePortsBack(stage, cast, clients, published)
}

function draw({ recorder }: Stage, cast: Cast, published: Published): void {
  recorder.lines('', ...drawTopology(survey(cast, published)))
}
