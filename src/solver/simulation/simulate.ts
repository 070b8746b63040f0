/**
 * One seeded story: builds that share what they can, come late, give up, fail and lose their cache, in an order that the
 * seed decides. Every request ends; nothing runs twice; nothing is left; every result is that of a build alone.
 */
import assert from 'node:assert/strict';
import { Chance } from './chance.ts';
import { Client } from './client.ts';
import { alone, below, makePlot } from './plot.ts';
import type { Node } from './plot.ts';
import { Stage } from './stage.ts';
import { World } from './world.ts';

/** A turn takes no time: whoever still waits after so many turns of the event loop waits for ever. */
const PATIENCE = 200;

class Director {
  readonly #chance: Chance;
  readonly #stage: Stage;
  readonly #plot: readonly Node[];
  readonly #world: World;
  readonly #clients: Client[] = [];
  /** All that goes on beside the stage; none of it may fail. */
  readonly #going = new Set<Promise<void>>();
  #again = 0;
  /** The cache has lost results, or could not keep some. */
  #hasLost = false;
  #failure: { error: unknown } | undefined;

  constructor(chance: Chance, stage: Stage) {
    this.#chance = chance;
    this.#stage = stage;
    this.#plot = makePlot(chance);
    this.#world = new World(chance, stage);
  }

  #go(work: Promise<void>): void {
    const going: Promise<void> = work
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  /** Nothing waits and nothing fails: one build after the other. */
  async #calm(work: () => Promise<void>): Promise<void> {
    this.#stage.isOpen = false;
    const { faults, slowness } = this.#world;
    Object.assign(this.#world, { faults: 0, slowness: 0 });
    await work();
    this.#stage.isOpen = true;
    Object.assign(this.#world, { faults, slowness });
  }

  async #fillRemotes(): Promise<void> {
    for (const remote of this.#world.remotes) {
      const solver = this.#world.elsewhere(remote);
      const job = solver.newJob('elsewhere');
      for (const node of this.#plot.filter(() => this.#chance.chance(0.3))) {
        await (await job.build(this.#world.edge(node, 0, () => ({})))).release();
      }
      await job.discard();
      await solver.close();
    }
  }

  async play(): Promise<void> {
    const r = this.#chance;
    await this.#calm(() => this.#fillRemotes());
    this.#world.faults = r.pick([0, 0, 0.01, 0.05]);
    this.#hasLost = this.#world.faults > 0;
    this.#world.slowness = r.pick([0, 0.1, 0.5]);
    const most = 1 + r.below(9);
    for (let turns = 50 + r.below(300); turns > 0; turns--) {
      if (r.chance(0.15) || !this.#stage.next()) this.#intervene(most);
      // Some things happen at the same time.
      if (r.chance(0.9)) await this.#stage.settle();
      this.#check();
    }
    await this.#comeToAnEnd();
    await this.#calm(() => this.#buildAgain());
    this.#checkNothingIsLeft();
    await this.#world.solver.close();
  }

  #intervene(most: number): void {
    const r = this.#chance;
    const present = this.#clients.filter((c) => !c.isLeaving);
    const acts: (() => void)[] = [
      () => this.#arrive(most),
      () => present.length > 0 && this.#ask(r.pick(present)),
      () => present.length > 0 && r.pick(present).watch(),
      () => present.length > 0 && r.chance(0.5) && r.pick(present).giveUp(),
      () => present.length > 0 && r.chance(0.3) && this.#leave(r.pick(present)),
      () => r.chance(0.4) && this.#lose(),
      () => r.chance(0.2) && this.#prune(),
    ];
    r.pick(acts)();
  }

  #arrive(most: number): void {
    if (this.#clients.length >= most) return;
    const client = new Client(this.#world, this.#chance, `client${this.#clients.length}`);
    this.#stage.tell(`${client.id} comes`);
    this.#clients.push(client);
    if (this.#chance.chance(0.5)) client.watch();
    this.#ask(client);
  }

  #ask(client: Client): void {
    // Mostly for what is made from much.
    const node = this.#chance.pick(this.#plot.slice(-4 - this.#chance.below(this.#plot.length)));
    this.#stage.tell(`${client.id} asks for ${node.name}`);
    this.#go(client.ask(node));
  }

  #leave(client: Client): void {
    this.#stage.tell(`${client.id} leaves`);
    this.#go(client.end());
  }

  #lose(): void {
    const r = this.#chance;
    const share = r.next() ** 3;
    this.#hasLost = true;
    this.#stage.tell(`${share.toFixed(2)} of the results are lost`);
    for (const store of [this.#world.store, ...this.#world.remotes]) {
      store.lose(
        () => r.chance(share),
        () => r.chance(0.5),
      );
    }
  }

  #prune(): void {
    this.#stage.tell('prune');
    this.#go(
      this.#world.store.manager.releaseUnreferenced().catch((error: Error) => {
        if (!this.#world.failures.has(error.message)) throw error;
      }),
    );
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #comeToAnEnd(): Promise<void> {
    for (;;) {
      await this.#stage.settle();
      this.#check();
      if (this.#stage.next()) continue;
      for (let i = 0; i < PATIENCE && this.#stage.waiting === 0; i++) await this.#stage.settle(1);
      this.#check();
      if (this.#stage.waiting > 0) continue;
      const busy = this.#clients.filter((c) => c.isBusy);
      assert.deepEqual(
        busy.map((c) => c.id),
        [],
        'they wait for ever',
      );
      const present = this.#clients.filter((c) => !c.isLeaving);
      if (present.length > 0) this.#leave(this.#chance.pick(present));
      else if (this.#going.size === 0) return;
      else if (this.#clients.every((c) => c.hasEnded)) assert.fail('a prune never ends');
      else await this.#lastWords();
    }
  }

  /** The readers of a status end in real time, soon. */
  async #lastWords(): Promise<void> {
    const left = setTimeout(() => (this.#failure ??= { error: new Error('a build never ends') }), 5000);
    await Promise.race(this.#going);
    clearTimeout(left);
  }

  /** What the story left in the cache is right and whole: a second build finds all of it. */
  async #buildAgain(): Promise<void> {
    const build = async (node: Node): Promise<void> => {
      this.#stage.tell(`${node.name} is built again`);
      const job = this.#world.solver.newJob(`again${this.#again++}`);
      const output = node.kind.outputs - 1;
      const result = await job.build(this.#world.edge(node, output, () => ({})));
      assert.equal(result.sys, alone(node, output), `${node.name}, built again`);
      await result.release();
      await job.discard();
    };
    for (const node of this.#plot.slice(-3)) {
      await build(node);
      // Of a cache that has lost something one more build may find another way, on which something is missing.
      if (this.#hasLost) await build(node);
      const { runs } = this.#world;
      await build(node);
      if ([...below(node)].some((n) => n.kind.random)) continue;
      assert.equal(this.#world.runs, runs, `${node.name} is not cached`);
    }
  }

  #checkNothingIsLeft(): void {
    const { live, running, deferred, graph, isIdle } = this.#world;
    assert.equal(live, 0, 'results are left');
    assert.deepEqual([...running], [], 'runs are left');
    assert.equal(deferred, 0, 'what was held for jobs is left');
    assert.ok(isIdle, 'a slot is left');
    assert.ok(graph.isEmpty, 'vertices are left');
    assert.equal(this.#stage.waiting, 0, 'somebody waits');
  }
}

/** What happened, in order. Throws what went wrong, with the seed and how it came to that. */
export async function simulate(seed: number): Promise<readonly string[]> {
  const chance = new Chance(seed);
  const stage = new Stage(chance);
  try {
    await new Director(chance, stage).play();
    return stage.story;
  } catch (error) {
    const { message, stack } = error as Error;
    const story = stage.story.slice(-60).join('\n');
    throw new Error(`seed ${seed}: ${message}\n${story}\n${stack}`, { cause: error });
  }
}
