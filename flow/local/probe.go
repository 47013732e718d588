package local

import (
	"context"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// atHand tells whether a connection is known without asking anybody. Where it is not, its
// calls are held until there is an answer: one that is under way when the host dies may have
// happened, also one that only waited for the vault.
func (h *Host) atHand(connection string) bool {
	if connection == "" || h.opts.Ready == nil {
		return true
	}
	if _, err := h.opts.Ready(h.atOnce, connection); err == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	one := &hold{
		Hold:   host.Hold{Scope: host.Connection, Name: connection, Reason: "the vault is asked for it", Since: h.now(), Auto: true},
		asking: true,
	}
	if h.holds[one.Key()] == nil && h.life.Err() == nil {
		h.setHold(one)
		h.look(one)
	}
	return false
}

// awaitAnswer lifts a hold once there is an answer for its connection.
func (h *Host) awaitAnswer(ctx context.Context, one *hold) {
	_, err := h.opts.Ready.Look(ctx, one.Name)
	h.mu.Lock()
	switch {
	case ctx.Err() != nil: // the host ends, or somebody lifted it
		h.mu.Unlock()
		return
	case err == nil:
		h.liftHold(one)
		h.mu.Unlock()
		return
	}
	one.asking, one.pause, one.Reason = false, h.worse(one.Name), err.Error()
	h.tellHold(one, false)
	h.mu.Unlock()
	h.awaitReady(ctx, one)
}

// worse is how long to wait before a connection is asked for again. The host's lock is held.
func (h *Host) worse(connection string) time.Duration {
	pause := min(max(2*h.troubled[connection], host.FirstProbe), host.SlowestProbe)
	h.troubled[connection] = pause
	h.trouble.Store(int32(len(h.troubled)))
	return pause
}

// note draws from an outcome what it says of the connection.
func (h *Host) note(connection string, o *call.Outcome) {
	if connection == "" {
		if o.Held { // there is nothing to hold: it is a failure like another
			o.Held, o.After = false, max(o.After, heldPause)
		}
		return
	}
	if !o.Held && !o.Refused && h.pauses.Load() == 0 && h.trouble.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	one := host.Hold{Scope: host.Connection, Name: connection, Auto: true}
	before := h.holds[one.Key()]
	switch {
	case o.Held:
		if before == nil {
			h.setAuto(connection, h.worse(connection), o.Error)
		}
	case o.Refused:
		if before == nil {
			h.setAuto(connection, 0, o.Error)
		}
	default:
		delete(h.troubled, connection)
		h.trouble.Store(int32(len(h.troubled)))
		if before != nil && before.pause > 0 { // the call that was let through, to see
			h.liftHold(before)
		}
	}
}

// setAuto begins a hold of the host's own. The host's lock is held.
func (h *Host) setAuto(connection string, pause time.Duration, err *call.Error) {
	one := &hold{
		Hold:  host.Hold{Scope: host.Connection, Name: connection, Since: h.now(), Auto: true},
		pause: pause,
	}
	if err != nil {
		one.Reason = err.Message
	}
	h.setHold(one)
	h.look(one)
}

// look tries until the hold can be lifted. The host's lock is held.
func (h *Host) look(one *hold) {
	ctx, cancel := context.WithCancel(h.life)
	asking := one.asking
	h.launch(func() {
		defer cancel()
		switch {
		case asking:
			h.awaitAnswer(ctx, one)
		case one.pause > 0:
			h.awaitReady(ctx, one)
		default:
			h.awaitRenewal(ctx, one)
		}
	})
	done := one.done
	h.launch(func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	})
}

// awaitReady lifts a hold once the connection can be resolved.
func (h *Host) awaitReady(ctx context.Context, one *hold) {
	for pause := one.pause; h.opts.Clock.Wait(ctx, h.now().Add(pause), nil) == nil; pause = min(2*pause, host.SlowestProbe) {
		if h.opts.Ready != nil {
			if _, err := h.opts.Ready.Look(ctx, one.Name); err != nil {
				continue
			}
			h.mu.Lock()
			h.liftHold(one)
			h.mu.Unlock()
			return
		}
		h.mu.Lock()
		one.probe = true
		h.letOn(one, 1)
		h.mu.Unlock()
	}
}

// awaitRenewal lifts a hold once the credentials are others than those that were refused.
func (h *Host) awaitRenewal(ctx context.Context, one *hold) {
	h.keepHold(one)
	if h.opts.Ready == nil {
		return
	}
	for {
		version, err := h.opts.Ready.Look(ctx, one.Name)
		switch {
		case err != nil, version == "":
		case one.version == "":
			one.version = version
			h.keepHold(one)
		case version != one.version:
			_ = h.opts.Journal.Note(ctx, holdNotes, one.Key(), nil)
			h.mu.Lock()
			h.liftHold(one)
			h.mu.Unlock()
			return
		}
		if h.opts.Clock.Wait(ctx, h.now().Add(host.Renewed), nil) != nil {
			return
		}
	}
}

// keepHold stores a hold, so that it is there after a restart. If it is not stored, the
// next call finds out again.
func (h *Host) keepHold(one *hold) {
	_ = h.noteHold(context.Background(), one)
	h.mu.Lock()
	lifted := h.holds[one.Key()] != one
	h.mu.Unlock()
	if lifted {
		_ = h.opts.Journal.Note(context.Background(), holdNotes, one.Key(), nil)
	}
}
