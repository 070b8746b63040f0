import { logger } from '../../base/index.ts';
import { ConnectionFault, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM } from './faults.ts';
import * as frame from './frames.ts';
import { Goodbye } from './goodbye.ts';
import type { Fields } from './hpack-decoder.ts';
import { Incoming } from './incoming.ts';
import type { Home } from './incoming.ts';
import { Intake } from './intake.ts';
import { MAX_FRAME, MAX_HEADER_LIST, MAX_STREAMS, MAX_UNSENT_DATA, WINDOW } from './limits.ts';
import type { Link } from './link.ts';
import { Nuisance } from './nuisance.ts';
import { Outlet } from './outlet.ts';
import { Output } from './output.ts';
import { PeerSettings } from './peer-settings.ts';
import { Pulse } from './pulse.ts';
import { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';
import { StreamTable } from './stream-table.ts';
import { Http2Stream } from './stream.ts';
import type { StreamEvents, StreamHost } from './stream.ts';

/** One connection, either end of it: frames in from a link, streams out, and back. It owns the link. */
export class Http2Connection {
  readonly #link: Link;
  readonly #isServer: boolean;
  readonly #onRequest: ((stream: Http2Stream, fields: Fields) => void) | undefined;
  readonly #streams: StreamTable;
  readonly #intake: Intake;
  readonly #receiver: Receiver;
  readonly #peer: PeerSettings;
  readonly #output = new Output();
  readonly #sender: Sender;
  readonly #outlet: Outlet;
  readonly #goodbye = new Goodbye();
  readonly #pulse: Pulse;
  /** Bytes of all streams that have not left. */
  #unsent = 0;
  readonly #host: StreamHost;
  /** All streams are being ended. */
  #ending = false;
  /** Nothing is read or sent any more. */
  #over = false;
  /** Why it is over, where somebody is at fault. */
  lost: Error | undefined;
  /** Resolves when the link has ended. */
  readonly closed: Promise<void>;

  /** `onRequest` makes it a server; it must set the stream's events. */
  constructor(link: Link, onRequest?: (stream: Http2Stream, fields: Fields) => void) {
    this.#link = link;
    this.#onRequest = onRequest;
    this.#isServer = onRequest !== undefined;
    this.#streams = new StreamTable(this.#isServer);
    this.#peer = new PeerSettings(!this.#isServer);
    this.#sender = new Sender(this.#output, this.#peer);
    this.#sender.onEnded = (stream) => {
      stream.events.ended?.();
      this.#closeIfComplete(stream);
    };
    this.#outlet = new Outlet(link, this.#output, this.#sender, () =>
      this.#abandon(new ConnectionFault(ENHANCE_YOUR_CALM, 'the peer does not read what it asks for')),
    );
    this.#intake = new Intake(
      (streamId, more) => {
        if (this.#ending) return;
        this.#output.windowUpdate(streamId, more);
        this.#outlet.schedule();
      },
      () => this.#streams.largest('held')?.reset(ENHANCE_YOUR_CALM),
    );
    this.#host = this.#makeHost();
    const nuisance = new Nuisance();
    const incoming = new Incoming(this.#isServer, this.#streams, this.#intake, nuisance, this.#makeHome());
    this.#receiver = new Receiver(this.#isServer, nuisance, incoming);
    this.#pulse = new Pulse(this.#isServer, {
      ask: () => {
        this.#output.ping();
        this.#outlet.schedule();
      },
      lost: (message) => this.#abandon(new Error(message)),
    });
    this.closed = this.#start();
    this.#greet();
  }

  #start(): Promise<void> {
    return new Promise((resolve) => {
      this.#link.start({
        data: (chunk) => this.#receive(chunk),
        drain: () => this.#outlet.drained(),
        end: (error) => {
          this.lost ??= error ?? this.#pulse.unheard();
          this.destroy();
        },
        closed: (error) => {
          this.lost ??= error;
          this.#over = true;
          this.#outlet.drop();
          this.#endStreams(undefined);
          resolve();
        },
      });
    });
  }

  #greet(): void {
    if (!this.#isServer) this.#output.bytesOf(frame.PREFACE);
    this.#output.settings([
      ...(this.#isServer ? [] : ([[frame.SETTINGS_ENABLE_PUSH, 0]] as const)),
      [frame.SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS],
      [frame.SETTINGS_INITIAL_WINDOW_SIZE, WINDOW],
      [frame.SETTINGS_MAX_FRAME_SIZE, MAX_FRAME],
      [frame.SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
    ]);
    this.#output.windowUpdate(0, WINDOW - frame.DEFAULT_WINDOW);
    this.#outlet.schedule();
  }

  /** Neither closed nor about to be: it takes new requests. */
  get isOpen(): boolean {
    return !this.#over && !this.#ending && !this.#isLeaving;
  }

  /** It ends when nothing runs on it any more. */
  get #isLeaving(): boolean {
    return this.#goodbye.isTold || this.#goodbye.heard || this.#streams.isUsedUp;
  }

  /** A client's request; more may be written to it. Throws when it cannot be made. */
  request(fields: Fields, events: StreamEvents): Http2Stream {
    if (!this.isOpen) throw new Error('the connection takes no more requests');
    let size = 0;
    for (const text of fields) size += text.length + 16;
    if (size > MAX_HEADER_LIST) throw new Error(`the header list of ${size} bytes is too large`);
    const stream = new Http2Stream(this.#host, 0, this.#peer.window);
    stream.events = events;
    stream.headersSent = true;
    if (this.#streams.size < this.#peer.maxStreams) this.#open(stream, fields);
    else this.#streams.wait(stream, fields);
    return stream;
  }

  #open(stream: Http2Stream, fields: Fields): void {
    this.#streams.open(stream);
    stream.sendWindow = this.#peer.window;
    this.#sender.headers(stream, fields, false);
    this.#host.ready(stream);
  }

  #openWaiting(): void {
    while (!this.#ending && !this.#over && this.#streams.size < this.#peer.maxStreams) {
      const next = this.#streams.next();
      if (next === undefined) return;
      if (this.#streams.isUsedUp) this.#closeStream(next[0], REFUSED_STREAM);
      else this.#open(...next);
    }
  }

  // Its end.

  /** Takes no new streams, and ends when those that run have ended. */
  close(): void {
    if (this.#over || this.#ending) return;
    if (!this.#goodbye.isTold) this.#goodbye.tell(this.#output, this.#streams.lastPeerId, NO_ERROR, '');
    this.#outlet.schedule();
    this.#endIfIdle();
  }

  /** Ends at once; what was given out before still leaves. */
  destroy(): void {
    if (this.#over || this.#ending) return;
    this.#endStreams(undefined);
    this.#finish();
  }

  #fail(code: number, error: Error): void {
    if (this.#over) return;
    logger.debug('connection failed', { error });
    this.lost ??= error;
    this.#goodbye.tell(this.#output, this.#streams.lastPeerId, code, error.message);
    this.#endStreams(undefined);
    this.#finish();
  }

  /** Nobody is there who would read last words. */
  #abandon(error: Error): void {
    if (this.#over) return;
    this.lost ??= error;
    this.#over = true;
    this.#outlet.drop();
    this.#endStreams(undefined);
    this.#link.destroy(this.lost);
  }

  #finish(): void {
    if (this.#over) return;
    this.#outlet.finish();
    if (this.#over) return;
    this.#over = true;
    this.#link.end();
  }

  #endStreams(code: number | undefined): void {
    this.#ending = true;
    for (const stream of this.#streams.waiting()) this.#closeStream(stream, code);
    for (const stream of this.#streams.running()) this.#closeStream(stream, code);
    this.#intake.end();
    this.#pulse.end();
  }

  #endIfIdle(): void {
    if (this.#isLeaving && !this.#ending && this.#streams.isEmpty) this.#finish();
  }

  #onGoAway(last: number, code: number, text: string): void {
    if (code !== NO_ERROR)
      this.lost ??= new ConnectionFault(code, `the peer ended the connection: code ${code} ${JSON.stringify(text)}`);
    // A client that says so is done with streams of ours, of which there are none: it may go on asking.
    if (this.#isServer && code === NO_ERROR) return;
    this.#goodbye.heard = true;
    if (!this.#isServer) {
      for (const stream of this.#streams.waiting()) this.#closeStream(stream, REFUSED_STREAM);
      // Those behind it the peer has not looked at.
      for (const stream of this.#streams.running()) if (stream.id > last) this.#closeStream(stream, REFUSED_STREAM);
    }
    this.#endIfIdle();
  }

  // What comes in.

  #receive(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#pulse.heard();
    try {
      this.#receiver.push(chunk);
    } catch (error) {
      this.#fail(error instanceof ConnectionFault ? error.code : INTERNAL_ERROR, error as Error);
    }
  }

  #makeHome(): Home {
    return {
      isOver: () => this.#over,
      isClosing: () => this.#goodbye.isTold,
      accept: (streamId, fields) => {
        const stream = new Http2Stream(this.#host, streamId, this.#peer.window);
        this.#streams.accept(stream);
        this.#onRequest?.(stream, fields);
        return stream;
      },
      remoteEnded: (stream) => {
        stream.remoteEnded = true;
        stream.events.end();
        this.#closeIfComplete(stream);
      },
      close: (stream, code) => this.#closeStream(stream, code),
      refuse: (streamId, code) => this.#refuse(streamId, code),
      settings: (payload) => {
        this.#pulse.greeted();
        this.#sender.settings(payload, this.#streams.running());
        this.#output.settingsAck();
        this.#outlet.schedule();
        this.#openWaiting();
      },
      ping: (payload) => {
        this.#output.pingAck(payload);
        this.#outlet.schedule();
      },
      goAway: (last, code, text) => this.#onGoAway(last, code, text),
      widen: (stream, more) => {
        if (stream === undefined) this.#sender.widen(more);
        else this.#sender.widenStream(stream, more);
        if (this.#sender.isReady) this.#outlet.schedule();
      },
    };
  }

  // Streams end.

  #closeIfComplete(stream: Http2Stream): void {
    if (stream.localEnded && stream.remoteEnded) this.#closeStream(stream, NO_ERROR);
  }

  #closeStream(stream: Http2Stream, code: number | undefined): void {
    if (stream.closed) return;
    stream.drop();
    this.#streams.remove(stream);
    this.#sender.forget(stream);
    this.#intake.forget(stream);
    stream.events.close(code);
    if (this.#over) return;
    this.#openWaiting();
    this.#endIfIdle();
  }

  #refuse(streamId: number, code: number): void {
    this.#output.reset(streamId, code);
    this.#outlet.schedule();
  }

  #makeHost(): StreamHost {
    return {
      sendHeaders: (stream, fields) => {
        this.#sender.headers(stream, fields, false);
        this.#outlet.schedule();
      },
      ready: (stream) => {
        this.#sender.queue(stream);
        this.#outlet.schedule();
      },
      unsent: (bytes) => {
        this.#unsent += bytes;
        if (this.#unsent > MAX_UNSENT_DATA && bytes > 0) this.#streams.largest('unsent')?.reset(ENHANCE_YOUR_CALM);
      },
      reset: (stream, code) => {
        if (stream.id !== 0) this.#refuse(stream.id, code);
        this.#closeStream(stream, code);
      },
      taken: (stream, bytes) => this.#intake.taken(stream, bytes),
    };
  }
}
