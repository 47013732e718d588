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

// Webhooks counts what was told.
type Webhooks struct {
	Delivered int `json:"webhooks_delivered"` // bodies that were answered with 200
	Failed    int `json:"webhooks_failed"`    // bodies that were answered with something else, or not
	Waiting   int `json:"webhooks_waiting"`   // things to tell that are on their way, or to be tried again
	Dropped   int `json:"webhooks_dropped"`   // given up, after seven days or for want of room
}

const (
	hookLanes   = 8       // deliveries at the same time; those about one person are in one lane
	mostWaiting = 100_000 // deliveries that wait
	retryFirst  = time.Second
	retryMost   = time.Hour
	giveUpAfter = 7 * 24 * time.Hour
	mostBatch   = 1000
)

// hooks delivers webhooks. What is about one person goes in order, unless an attempt
// fails: then the rest does not wait for it.
type hooks struct {
	client *http.Client
	time   *timeline
	s      *Simulator

	mu     sync.Mutex
	lanes  [hookLanes][]*delivery
	busy   [hookLanes]bool
	flying int
	tally  Webhooks
	epoch  int // Reset forgets what waits
	idle   chan struct{}
	shut   bool
}

// A delivery is one body on its way.
type delivery struct {
	url, secret string
	entries     [][]byte
	batch       int // how many entries it may have
	lane        int
	first       time.Time
	attempt     int
	epoch       int
}

func newHooks(s *Simulator) *hooks {
	return &hooks{client: s.options.Client, time: s.time, s: s, idle: make(chan struct{})}
}

func (h *hooks) counts() Webhooks {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tally
}

func (h *hooks) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	h.lanes = [hookLanes][]*delivery{}
	h.tally = Webhooks{}
	h.rest()
}

func (h *hooks) stop() {
	h.clear()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut = true
}

// rest wakes who waits for nothing to be on its way. h is locked.
func (h *hooks) rest() {
	if h.flying > 0 {
		return
	}
	for _, lane := range h.lanes {
		if len(lane) > 0 {
			return
		}
	}
	close(h.idle)
	h.idle = make(chan struct{})
}

// Idle returns when all webhooks that are due have been tried, or with the error of ctx.
func (s *Simulator) Idle(ctx context.Context) error {
	for {
		s.time.run(func() time.Time { return s.time.clock.Now().Add(s.time.ahead) })
		h := s.hooks
		h.mu.Lock()
		idle, still := h.idle, h.flying == 0
		for _, lane := range h.lanes {
			still = still && len(lane) == 0
		}
		h.mu.Unlock()
		if still {
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

// post puts the change of an account on its way, if anybody wants to be told. The
// simulator is locked.
func (h *hooks) post(a *account, field, lane string, value any) {
	hook, ok := h.s.world.hook(a)
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
	_, _ = hash.Write([]byte(lane))
	h.enqueue(&delivery{url: hook.URL, secret: h.s.world.app.Secret, entries: [][]byte{escape(encode(e))}, batch: max(1, min(hook.Batch, mostBatch)),
		lane: int(hash.Sum32() % hookLanes), first: h.s.Now()}, true)
}

// hook is where what happens to an account is told; ok is false for nowhere.
func (w *world) hook(a *account) (hook Webhook, ok bool) {
	hook = w.webhook
	if a.Webhook != nil && a.Webhook.URL != "" {
		hook = *a.Webhook
	}
	return hook, hook.URL != "" && a.apps
}

func (h *hooks) enqueue(d *delivery, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.shut || !fresh && d.epoch != h.epoch:
		return
	case fresh && h.tally.Waiting >= mostWaiting:
		h.tally.Dropped++
		return
	case fresh:
		d.epoch = h.epoch
		h.tally.Waiting++
	}
	h.lanes[d.lane] = append(h.lanes[d.lane], d)
	if !h.busy[d.lane] {
		h.busy[d.lane] = true
		go h.work(d.lane)
	}
}

// work delivers what waits in a lane, until nothing does.
func (h *hooks) work(lane int) {
	for {
		h.mu.Lock()
		if len(h.lanes[lane]) == 0 {
			h.lanes[lane], h.busy[lane] = nil, false
			h.rest()
			h.mu.Unlock()
			return
		}
		d := h.lanes[lane][0]
		h.lanes[lane] = h.lanes[lane][1:]
		for next := h.lanes[lane]; len(d.entries) < d.batch && len(next) > 0 && next[0].url == d.url && next[0].attempt+d.attempt == 0; next = h.lanes[lane] {
			d.entries = append(d.entries, next[0].entries...)
			h.lanes[lane] = next[1:]
		}
		h.flying++
		h.mu.Unlock()
		err := h.deliver(d)
		h.mu.Lock()
		h.flying--
		if d.epoch == h.epoch {
			h.ended(d, err)
		}
		h.mu.Unlock()
	}
}

// ended counts an attempt, and tries again later what failed. h is locked.
func (h *hooks) ended(d *delivery, err error) {
	if err == nil {
		h.tally.Delivered++
		h.tally.Waiting -= len(d.entries)
		return
	}
	h.tally.Failed++
	now := h.time.now()
	if now.Sub(d.first) >= giveUpAfter || h.shut {
		h.tally.Dropped += len(d.entries)
		h.tally.Waiting -= len(d.entries)
		return
	}
	pause := retryFirst << min(2*d.attempt, 20)
	d.attempt++
	h.time.at(now.Add(min(pause, retryMost)), func(time.Time) { h.enqueue(d, false) })
}

// deliver makes one attempt.
func (h *hooks) deliver(d *delivery) error {
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
	resp, err := h.client.Do(req)
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
	const hexDigits = "0123456789abcdef"
	out := make([]byte, 0, len(text)+len(text)/8)
	unit := func(u uint16) {
		out = append(out, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '/':
			out = append(out, '\\', '/')
			i++
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			if r > 0xFFFF {
				high, low := utf16.EncodeRune(r)
				unit(uint16(high))
				unit(uint16(low))
			} else {
				unit(uint16(r))
			}
			i += n
		}
	}
	return out
}

// Subscribe asks an address whether it wants the webhooks of the app, as Meta does when a
// webhook is configured, and sends them there from then on.
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
		return fmt.Errorf("%q is not the address of a webhook; write http://…", hook.URL)
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
		return fmt.Errorf("the webhook cannot be asked: %w", err)
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
		return fmt.Errorf("the webhook answers %d to the question whether it is one; it should answer 200 with hub.challenge: check verify_token", resp.StatusCode)
	case strings.TrimSpace(string(body)) != challenge:
		return fmt.Errorf("the webhook answers something else than hub.challenge")
	}
	return nil
}

func sign(of func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(of, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
