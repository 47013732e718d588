package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Webhooks counts the deliveries of webhooks.
type Webhooks struct {
	Delivered int `json:"webhooks_delivered"` // bodies that were answered with 200
	Failed    int `json:"webhooks_failed"`    // bodies that were answered with something else, or not
	Waiting   int `json:"webhooks_waiting"`   // notifications in the queue, or to be retried
	Dropped   int `json:"webhooks_dropped"`   // given up after seven days, or because the queue was full
}

const (
	queueCount    = 8       // deliveries at the same time; those about one person are in one queue
	maxQueued     = 100_000 // deliveries in all queues
	minRetryDelay = time.Second
	maxRetryDelay = time.Hour
	giveUpAfter   = 7 * 24 * time.Hour
	maxBatch      = 1000
)

// A dispatcher delivers webhooks. Those about one person are delivered in order, except retries:
// later ones do not wait for them.
type dispatcher struct {
	s *Simulator

	mu         sync.Mutex
	queues     [queueCount][]*delivery
	busy       [queueCount]bool
	due        int // deliveries that are queued or in flight
	stats      Webhooks
	generation int           // incremented by Reset, which drops queued deliveries
	idle       chan struct{} // closed when none is due
	closed     bool
}

// A delivery is one webhook to deliver.
type delivery struct {
	url, secret string
	entries     [][]byte
	batch       int // how many entries it may have at most
	queue       int
	first       time.Time
	attempt     int
	generation  int
}

func newDispatcher(s *Simulator) *dispatcher {
	return &dispatcher{s: s, idle: make(chan struct{})}
}

func (h *dispatcher) counts() Webhooks {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats
}

func (h *dispatcher) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation++
	for i, queue := range h.queues {
		h.done(len(queue))
		h.queues[i] = nil
	}
	h.stats = Webhooks{}
}

func (h *dispatcher) stop() {
	h.clear()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// done counts deliveries that are due no more, and wakes Idle after the last. h is locked.
func (h *dispatcher) done(n int) {
	h.due -= n
	if h.due == 0 {
		close(h.idle)
		h.idle = make(chan struct{})
	}
}

// Idle returns when all webhooks that are due have been tried, or with the error of ctx.
func (s *Simulator) Idle(ctx context.Context) error {
	for {
		s.scheduler.run(s.scheduler.time)
		h := s.dispatcher
		h.mu.Lock()
		idle, due := h.idle, h.due
		h.mu.Unlock()
		if due == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return nil
		}
	}
}

// post queues a webhook about an account, if there is a callback URL. Webhooks with the same key are
// delivered in order. The simulator is locked.
func (h *dispatcher) post(a *account, field, key string, value any) {
	hook, ok := h.s.world.webhookOf(a)
	if !ok {
		return
	}
	type change struct {
		Value any    `json:"value"`
		Field string `json:"field"`
	}
	type entry struct {
		ID      string   `json:"id"`
		Time    int64    `json:"time,omitempty"`
		Changes []change `json:"changes"`
	}
	e := entry{ID: a.ID, Changes: []change{{value, field}}}
	if field != "messages" {
		e.Time = h.s.Now().Unix()
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(key))
	h.enqueue(&delivery{url: hook.URL, secret: h.s.world.app.Secret, entries: [][]byte{escape(encode(e))}, batch: max(1, min(hook.Batch, maxBatch)),
		queue: int(hash.Sum32() % queueCount), first: h.s.Now()}, true)
}

// webhookOf returns the webhook of an account; ok is false if it has none.
func (w *world) webhookOf(a *account) (hook Webhook, ok bool) {
	hook = w.webhook
	if a.Webhook != nil && a.Webhook.URL != "" {
		hook = *a.Webhook
	}
	return hook, hook.URL != "" && a.apps
}

func (h *dispatcher) enqueue(d *delivery, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed || !fresh && d.generation != h.generation:
		return
	case fresh && h.stats.Waiting >= maxQueued:
		h.stats.Dropped++
		return
	case fresh:
		d.generation = h.generation
		h.stats.Waiting++
	}
	h.due++
	h.queues[d.queue] = append(h.queues[d.queue], d)
	if !h.busy[d.queue] {
		h.busy[d.queue] = true
		go h.worker(d.queue)
	}
}

// worker delivers what waits in a queue, until nothing does.
func (h *dispatcher) worker(queue int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queues[queue]) > 0 {
		d, waiting := h.queues[queue][0], h.queues[queue][1:]
		taken := 1
		for len(d.entries) < d.batch && len(waiting) > 0 && waiting[0].url == d.url && waiting[0].attempt+d.attempt == 0 {
			d.entries = append(d.entries, waiting[0].entries...)
			waiting = waiting[1:]
			taken++
		}
		h.queues[queue] = waiting
		h.mu.Unlock()
		err := h.deliver(d)
		h.mu.Lock()
		if d.generation == h.generation {
			h.attempted(d, err)
		}
		h.done(taken)
	}
	h.queues[queue], h.busy[queue] = nil, false
}

// attempted counts an attempt, and schedules a retry if it failed. h is locked.
func (h *dispatcher) attempted(d *delivery, err error) {
	if err == nil {
		h.stats.Delivered++
		h.stats.Waiting -= len(d.entries)
		return
	}
	h.stats.Failed++
	now := h.s.scheduler.now()
	if now.Sub(d.first) >= giveUpAfter || h.closed {
		h.stats.Dropped += len(d.entries)
		h.stats.Waiting -= len(d.entries)
		return
	}
	pause := minRetryDelay << min(2*d.attempt, 20)
	d.attempt++
	h.s.scheduler.schedule(now.Add(min(pause, maxRetryDelay)), func(time.Time) { h.enqueue(d, false) })
}

// deliver makes one attempt.
func (h *dispatcher) deliver(d *delivery) error {
	body := append([]byte(`{"object":"whatsapp_business_account","entry":[`), bytes.Join(d.entries, []byte(","))...)
	body = append(body, "]}"...)
	req, err := http.NewRequest(http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("X-Hub-Signature", "sha1="+sign(sha1.New, d.secret, body))
	req.Header.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, d.secret, body))
	resp, err := h.s.options.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// escape writes JSON as Meta signs it: nothing beyond ASCII, and / with a backslash.
func escape(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for _, r := range string(text) {
		switch {
		case r == '/':
			out = append(out, '\\', '/')
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
	}
	return out
}

// Subscribe verifies a callback URL, as Meta does when a webhook is configured, and sends the
// webhooks of the app there from then on.
func (s *Simulator) Subscribe(ctx context.Context, hook Webhook) error {
	if err := s.handshake(ctx, hook); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.webhook = hook
	return nil
}

func (s *Simulator) handshake(ctx context.Context, hook Webhook) error {
	address, err := url.Parse(hook.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return fmt.Errorf("%q is not a webhook URL; write http://…", hook.URL)
	}
	s.mu.Lock()
	challenge := strconv.FormatUint(1_000_000_000+s.random.Uint64N(1_000_000_000), 10)
	s.mu.Unlock()
	query := address.Query()
	query.Set("hub.mode", "subscribe")
	query.Set("hub.challenge", challenge)
	query.Set("hub.verify_token", hook.VerifyToken)
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return fmt.Errorf("the webhook cannot be called: %w", err)
	}
	req.Header.Set("User-Agent", "facebookplatform/1.0 (+http://developers.facebook.com)")
	resp, err := s.options.Client.Do(req)
	if err != nil {
		return fmt.Errorf("the webhook does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the webhook answers the verification request with status %d instead of 200: check verify_token", resp.StatusCode)
	case strings.TrimSpace(string(body)) != challenge:
		return fmt.Errorf("the webhook does not answer the verification request with hub.challenge")
	}
	return nil
}

func sign(of func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(of, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
