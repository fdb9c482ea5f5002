// One clock for all clips: they start together, and the one that is heard has the only open gain.

const FADE = .005; // seconds

class Clock {
  constructor(clips) {
    this.clips = clips;
    this.buffers = [];
    this.context = null; // made when it is first needed: a page may not make sound before the reader acts
    this.running = [];
    this.began = { at: 0, from: 0, rate: 1, loop: null };
  }

  // Every clip as samples, decoded once.
  async decode(sampleRate) {
    const decoder = new OfflineAudioContext(1, 1, sampleRate);
    this.buffers = await Promise.all(this.clips.map(clip => decoder.decodeAudioData(bytesOf(clip.audio).buffer)));
  }

  get duration() {
    return page.duration;
  }

  // The loop's seconds, or null where nothing is repeated.
  get loop() {
    return state.loop ? selectedSeconds() : null;
  }

  // Seconds into the clip of what is being heard.
  position() {
    if (!state.playing) return state.seconds;
    const heard = Math.max(this.context.currentTime - this.began.at, 0);
    const seconds = this.began.from + heard * this.began.rate, [start, end] = this.began.loop || [0, Infinity];
    return seconds < end ? seconds : start + (seconds - start) % (end - start);
  }

  play() {
    if (!this.buffers.length) return;
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.output = new GainNode(this.context);
      this.output.connect(this.context.destination);
    }
    this.context.resume();
    const [start, end] = this.loop || [0, this.duration], inside = state.seconds >= start && state.seconds < end - .01;
    set({ playing: true, seconds: inside ? state.seconds : start });
    this.startAt(state.seconds);
  }

  pause() {
    const seconds = this.position();
    this.silence();
    set({ playing: false, seconds: Math.min(seconds, this.duration) });
  }

  seek(seconds) {
    seconds = Math.min(Math.max(seconds, 0), this.duration);
    set({ seconds });
    if (state.playing) this.startAt(seconds);
  }

  // Go on from where it is where the loop or the speed has changed.
  renew() {
    if (!state.playing || (state.rate === this.began.rate && String(this.loop) === String(this.began.loop))) return;
    const seconds = this.position(), [start, end] = this.loop || [0, this.duration];
    this.startAt(seconds >= start && seconds < end ? seconds : start);
  }

  startAt(seconds) {
    this.silence();
    const at = this.context.currentTime + FADE, loop = this.loop;
    this.began = { at, from: seconds, rate: state.rate, loop };
    this.running = this.buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(this.context, { buffer, playbackRate: state.rate });
      if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: Math.min(loop[1], buffer.duration) });
      const gain = new GainNode(this.context, { gain: 0 });
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(i === state.clip ? 1 : 0, at + FADE);
      source.connect(gain).connect(this.output);
      source.start(at, Math.min(seconds, buffer.duration));
      return { source, gain };
    });
  }

  // Another clip at the same place.
  hear(clip) {
    const now = this.context ? this.context.currentTime : 0;
    this.running.forEach(({ gain }, i) => {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setValueAtTime(gain.gain.value, now);
      gain.gain.linearRampToValueAtTime(i === clip ? 1 : 0, now + FADE);
    });
  }

  silence() {
    const now = this.context ? this.context.currentTime : 0;
    for (const { source, gain } of this.running) {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setValueAtTime(gain.gain.value, now);
      gain.gain.linearRampToValueAtTime(0, now + FADE);
      source.stop(now + 2 * FADE);
    }
    this.running = [];
  }

  // Called for every picture on the screen while a clip plays.
  tick() {
    const seconds = this.position();
    if (seconds >= this.duration) {
      this.silence();
      set({ playing: false, seconds: 0 });
    } else set({ seconds });
  }
}
