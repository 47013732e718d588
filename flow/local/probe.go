package local

import (
	"context"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// isResolved tells whether the credentials of a connection are at hand. If not, they are looked
// up, and its calls are held meanwhile: a call that is in flight when the host dies may have
// happened, even if it was only waiting for the vault.
func (h *Host) isResolved(connection string) bool {
	if connection == "" || h.opts.Ready == nil {
		return true
	}
	if _, err := h.opts.Ready(h.expired, connection); err == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	held := &hold{
		Hold:     host.Hold{Scope: host.Connection, Name: connection, Reason: "the vault is being asked for it", Since: h.now(), Auto: true},
		checking: true,
	}
	if h.holds[held.Key()] == nil && h.ctx.Err() == nil {
		h.addHold(held)
		h.watchHold(held)
	}
	return false
}

// awaitCheck lifts the hold if the first look-up of its connection succeeds; otherwise it probes on.
func (h *Host) awaitCheck(ctx context.Context, held *hold) {
	_, err := h.opts.Ready.Check(ctx, held.Name)
	h.mu.Lock()
	switch {
	case ctx.Err() != nil: // the host has ended, or the hold was lifted
		h.mu.Unlock()
		return
	case err == nil:
		h.liftHold(held)
		h.mu.Unlock()
		return
	}
	held.checking, held.probeAfter, held.Reason = false, h.nextBackoff(held.Name), err.Error()
	h.notifyHold(held, false)
	h.mu.Unlock()
	h.awaitReady(ctx, held)
}

// nextBackoff returns the delay before a connection is probed again. The caller holds h.mu.
func (h *Host) nextBackoff(connection string) time.Duration {
	pause := min(max(2*h.backoffs[connection], host.MinProbeDelay), host.MaxProbeDelay)
	h.backoffs[connection] = pause
	h.backoffCount.Store(int32(len(h.backoffs)))
	return pause
}

// noteOutcome begins or lifts the hold of a connection, by the outcome of a call.
func (h *Host) noteOutcome(connection string, o *call.Outcome) {
	if connection == "" {
		if o.Held { // without a connection there is nothing to hold: a plain failure
			o.Held, o.After = false, max(o.After, minHeldRetry)
		}
		return
	}
	if !o.Held && !o.Refused && h.holdCount.Load() == 0 && h.backoffCount.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	auto := host.Hold{Scope: host.Connection, Name: connection, Auto: true}
	current := h.holds[auto.Key()]
	switch {
	case o.Held:
		if current == nil {
			h.addAutoHold(connection, h.nextBackoff(connection), o.Error)
		}
	case o.Refused:
		if current == nil {
			h.addAutoHold(connection, 0, o.Error)
		}
	default:
		delete(h.backoffs, connection)
		h.backoffCount.Store(int32(len(h.backoffs)))
		if current != nil && current.probeAfter > 0 { // it was the probe
			h.liftHold(current)
		}
	}
}

// addAutoHold begins a hold that the host itself decided on. The caller holds h.mu.
func (h *Host) addAutoHold(connection string, pause time.Duration, err *call.Error) {
	held := &hold{
		Hold:       host.Hold{Scope: host.Connection, Name: connection, Since: h.now(), Auto: true},
		probeAfter: pause,
	}
	if err != nil {
		held.Reason = err.Message
	}
	h.addHold(held)
	h.watchHold(held)
}

// watchHold lifts an automatic hold when its reason is gone. The caller holds h.mu.
func (h *Host) watchHold(held *hold) {
	ctx, cancel := context.WithCancel(h.ctx)
	held.unwatch = cancel
	checking := held.checking
	h.spawn(func() {
		defer cancel()
		switch {
		case checking:
			h.awaitCheck(ctx, held)
		case held.probeAfter > 0:
			h.awaitReady(ctx, held)
		default:
			h.awaitRenewal(ctx, held)
		}
	})
}

// awaitReady probes a connection, with backoff, until it can be resolved.
func (h *Host) awaitReady(ctx context.Context, held *hold) {
	for pause := held.probeAfter; h.opts.Clock.Wait(ctx, h.now().Add(pause), nil) == nil; pause = min(2*pause, host.MaxProbeDelay) {
		if h.opts.Ready != nil {
			if _, err := h.opts.Ready.Check(ctx, held.Name); err != nil {
				continue
			}
			h.mu.Lock()
			h.liftHold(held)
			h.mu.Unlock()
			return
		}
		h.mu.Lock()
		held.probe = true
		h.wakeHeld(held, 1)
		h.mu.Unlock()
	}
}

// awaitRenewal waits until the credentials differ from those that were refused.
func (h *Host) awaitRenewal(ctx context.Context, held *hold) {
	h.storeAutoHold(held)
	if h.opts.Ready == nil {
		return
	}
	for {
		version, err := h.opts.Ready.Check(ctx, held.Name)
		switch {
		case err != nil, version == "":
		case held.version == "":
			held.version = version
			h.storeAutoHold(held)
		case version != held.version:
			_ = h.opts.Journal.Note(ctx, holdNoteKind, held.Key(), nil)
			h.mu.Lock()
			h.liftHold(held)
			h.mu.Unlock()
			return
		}
		if h.opts.Clock.Wait(ctx, h.now().Add(host.RenewalInterval), nil) != nil {
			return
		}
	}
}

// storeAutoHold stores a hold, so that it survives a restart. If that fails, the next call finds
// out again.
func (h *Host) storeAutoHold(held *hold) {
	_ = h.storeHold(context.Background(), held)
	h.mu.Lock()
	lifted := h.holds[held.Key()] != held
	h.mu.Unlock()
	if lifted {
		_ = h.opts.Journal.Note(context.Background(), holdNoteKind, held.Key(), nil)
	}
}
