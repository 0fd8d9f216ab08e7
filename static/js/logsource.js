/* Where the lines of a log come from: pages of lines over HTTP, new bytes over a WebSocket (the protocol is written down in
   logview.js). Keeps a bounded number of lines; knows nothing of how they are shown.

   Positions are row numbers in the current view, from 1: with a stage chosen they count that stage's lines only. */

const PAGE = 500, PAGES_KEPT = 60, POLL_MS = 3000, LINE_MAX = 8192, MARKS_MS = 2000, RETRY_FIRST_MS = 500, RETRY_LAST_MS = 10000;
const NEWLINE = 10, GONE = 4404, REFUSED = 4403;

export class LogSource extends EventTarget {
  constructor({ linesUrl, findUrl, marksUrl, socketUrl, stage }) {
    super();
    Object.assign(this, { linesUrl, findUrl, marksUrl, socketUrl, stage });
    this.total = 0; // lines in this view
    this.bytes = 0;
    this.complete = false;
    this.marks = { first_error: null, steps: [] };
    this.pages = new Map(); // page number -> lines; the order of the map is the order of use
    this.loading = new Set();
    this.offset = 0; // the first byte that none of these `total` lines contains: the two change together only
    this.rest = new Uint8Array(0); // bytes of an unfinished line
    this.mark = [0, null, "", ""]; // offset, time, stage, step of the bytes that come
    this.pending = []; // marks that lie ahead
    this.retry = RETRY_FIRST_MS;
    this.decoder = new TextDecoder("utf-8", { fatal: false });
  }

  /** Read the end and what is marked, then stay connected while the log grows. */
  async start() {
    await Promise.all([this.load(-PAGE, true), this.readMarks()]);
    if (!this.complete) this.follow();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.marksTimer);
    this.socket?.close();
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  url(base, values) {
    const address = new URL(base, location.href);
    for (const [name, value] of Object.entries(values)) address.searchParams.set(name, value);
    if (this.stage) address.searchParams.set("stage", this.stage);
    return address;
  }

  async ask(base, values) {
    const answer = await fetch(this.url(base, values), { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  }

  /** The line at `row` ([number, time_ms, stage, step, text, cut]) or undefined; then its page is on its way. */
  line(row) {
    const page = Math.floor((row - 1) / PAGE);
    const lines = this.pages.get(page);
    const line = lines?.[(row - 1) % PAGE];
    if (!line && row <= this.total) this.fetchPage(page);
    else if (lines) this.touch(page, lines);
    return line;
  }

  touch(page, lines) {
    this.pages.delete(page);
    this.pages.set(page, lines);
    for (const oldest of this.pages.keys()) {
      if (this.pages.size <= PAGES_KEPT) break;
      this.pages.delete(oldest);
    }
  }

  async fetchPage(page) {
    if (this.loading.has(page)) return;
    this.loading.add(page);
    await this.load(page * PAGE + 1);
    this.loading.delete(page);
  }

  /** Read a page; with `counts` its answer also says how many lines there are and where the bytes go on. */
  async load(from, counts = false) {
    try {
      const answer = await this.ask(this.linesUrl, { from, count: PAGE });
      this.take(answer, counts);
      this.tell("fine");
    } catch (error) {
      this.tell("trouble", error.message);
    }
  }

  take(answer, counts) {
    answer.lines.forEach((line, index) => this.put(answer.first + index, line));
    this.bytes = Math.max(this.bytes, answer.total_bytes);
    if (counts) {
      this.total = answer.total_lines;
      this.offset = answer.next_offset;
      this.complete ||= answer.complete;
    } else if (this.stage) this.total = Math.max(this.total, answer.total_lines);
    // Else a page that was looked at knows of lines whose bytes are still to come: they are counted when they do.
    this.tell("change");
  }

  put(row, line) {
    const page = Math.floor((row - 1) / PAGE);
    const lines = this.pages.get(page) ?? [];
    lines[(row - 1) % PAGE] = line;
    this.touch(page, lines);
  }

  async readMarks() {
    try {
      this.marks = await this.ask(this.marksUrl, {});
      this.tell("marks");
    } catch {
      // Folds and the jump to an error are a help only; the lines say themselves when the server is away.
    }
  }

  async find(q, after, direction) {
    return (await this.ask(this.findUrl, { q, after, direction })).line;
  }

  follow() {
    if (this.stopped) return;
    if (!this.socketUrl) {
      this.poll();
      return;
    }
    const address = new URL(this.socketUrl, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("offset", this.offset);
    this.rest = new Uint8Array(0);
    this.received = this.offset;
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => (typeof event.data === "string" ? this.status(JSON.parse(event.data)) : this.data(event.data));
    socket.onclose = (event) => {
      if (this.stopped || this.complete || event.code === REFUSED || event.code === GONE) return;
      this.poll(this.retry);
      this.retry = Math.min(RETRY_LAST_MS, this.retry * 2);
    };
  }

  /** No socket now: look at the end over HTTP, then try the socket again. */
  poll(after = POLL_MS) {
    this.timer = setTimeout(async () => {
      await this.refresh();
      if (!this.complete) this.follow();
    }, after);
  }

  async refresh() {
    await this.load(-PAGE, true);
    await this.readMarks();
  }

  status(message) {
    this.retry = RETRY_FIRST_MS;
    if (message.marks) this.pending.push(...message.marks);
    if (message.total_bytes !== undefined) this.bytes = message.total_bytes;
    if (message.complete && !this.complete) {
      this.complete = true;
      this.refresh(); // the server's count is the last word, also for an unfinished last line
    }
    this.tell("change");
  }

  data(buffer) {
    const fresh = new Uint8Array(buffer);
    this.received += fresh.length;
    this.socket.send(JSON.stringify({ ack: this.received }));
    clearTimeout(this.marksTimer ?? 0);
    this.marksTimer = setTimeout(() => this.readMarks(), MARKS_MS);
    if (this.stage) {
      this.later ??= setTimeout(() => ((this.later = null), this.load(-PAGE)), 300); // rows of one stage are counted there
      return;
    }
    const bytes = new Uint8Array(this.rest.length + fresh.length);
    bytes.set(this.rest);
    bytes.set(fresh, this.rest.length);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.append(bytes.subarray(from, end));
      from = end + 1;
    }
    this.rest = bytes.slice(from);
    this.tell("change");
  }

  append(bytes) {
    while (this.pending.length && this.pending[0][0] <= this.offset) this.mark = this.pending.shift();
    this.offset += bytes.length + 1;
    this.total += 1;
    const [, time, stage, step] = this.mark;
    const text = this.decoder.decode(bytes.subarray(0, LINE_MAX)).replace(/\r$/, "");
    this.put(this.total, [this.total, time ?? Date.now(), stage, step, text, Math.max(0, bytes.length - LINE_MAX)]);
  }
}
