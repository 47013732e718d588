package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"facteur/flow/schema"
)

// A Scene declares accounts, numbers, tokens and people, and how the platform behaves. A file
// holds one as JSON. What a scene leaves out is open: without accounts any phone number ID is a
// number, without tokens any token is valid, without templates any template exists.
type Scene struct {
	App      App       `json:"app,omitzero"`
	Accounts []Account `json:"accounts,omitempty"`
	Tokens   []Token   `json:"tokens,omitempty"`
	People   []Person  `json:"people,omitempty"`
	Limits   Limits    `json:"limits,omitzero"`
	Statuses Statuses  `json:"statuses,omitzero"`
	Webhook  Webhook   `json:"webhook,omitzero"`
	Faults   []Fault   `json:"faults,omitempty"`
}

// An App is the Meta app that tokens belong to and that signs webhooks.
type App struct {
	ID     string `json:"id,omitempty"`     // "": DefaultAppID
	Name   string `json:"name,omitempty"`   // "": Facteur
	Secret string `json:"secret,omitempty"` // "": DefaultAppSecret
}

// The defaults of an App.
const (
	DefaultAppID     = "670843887433847"
	DefaultAppSecret = "simulator-app-secret"
	DefaultAccountID = "102290129340398"
)

// An Account is a WhatsApp Business Account (WABA).
type Account struct {
	ID        string            `json:"id"`
	Name      string            `json:"name,omitempty"`
	Business  string            `json:"business_id,omitempty"` // the portfolio, whose limit its accounts share; "": one of its own
	Tier      string            `json:"tier,omitempty"`        // TIER_250, TIER_2K, TIER_10K, TIER_100K, TIER_UNLIMITED; "": TIER_2K
	Numbers   []Number          `json:"numbers,omitempty"`
	Templates []json.RawMessage `json:"templates,omitempty"` // in Meta's form, as in the files of templates/
	Webhook   *Webhook          `json:"webhook,omitempty"`   // in place of the app's
}

// A Number is a phone number of an account.
type Number struct {
	ID         string   `json:"id"`                    // what the API calls phone number ID
	Phone      string   `json:"phone,omitempty"`       // "+33 1 99 00 00 00"; "": one made from the ID
	Name       string   `json:"name,omitempty"`        // the verified name
	Quality    string   `json:"quality,omitempty"`     // GREEN, YELLOW, RED, UNKNOWN; "": GREEN
	Status     string   `json:"status,omitempty"`      // "": CONNECTED, else nothing can be sent
	NameStatus string   `json:"name_status,omitempty"` // "": APPROVED
	Throughput int      `json:"throughput,omitempty"`  // messages a second; 0: that of Limits
	Test       bool     `json:"test,omitempty"`        // writes only to Allowed, five numbers at most
	Allowed    []string `json:"allowed,omitempty"`
}

// A Token is a declared access token.
type Token struct {
	Value    string    `json:"token"`
	Scopes   []string  `json:"scopes,omitempty"`   // none: those for messaging and management
	Expires  time.Time `json:"expires,omitzero"`   // zero: never
	Accounts []string  `json:"accounts,omitempty"` // the WABAs that it may see; none: all
	State    string    `json:"state,omitempty"`    // "", password_changed (460), uninstalled (458), logged_out (467)
}

// A Person is a WhatsApp user. People who are not declared are on WhatsApp, get their messages, and
// do not answer by themselves.
type Person struct {
	Phone   string `json:"phone,omitempty"`
	UserID  string `json:"user_id,omitempty"` // business-scoped
	Name    string `json:"name,omitempty"`
	WaID    string `json:"wa_id,omitempty"`    // where it differs from the digits of Phone
	Absent  bool   `json:"absent,omitempty"`   // not on WhatsApp: 131026, by webhook
	Blocked bool   `json:"blocked,omitempty"`  // by the business: 130403
	OptOut  bool   `json:"opt_out,omitempty"`  // wants no marketing: 131050, by webhook
	Reads   bool   `json:"reads,omitempty"`    // reads what is delivered
	Reply   string `json:"reply,omitempty"`    // says this after each message
	OptedIn bool   `json:"opted_in,omitempty"` // wrote just before the scene began: the window is open
}

// Limits are those of the platform. 0 stands for Meta's own where accounts are declared,
// and for none where they are not; -1 for none.
type Limits struct {
	Throughput int    `json:"throughput,omitempty"` // messages a second and number: 80
	PairBurst  int    `json:"pair_burst,omitempty"` // messages to one person at once, then one in 6 s: 45
	People     int    `json:"people,omitempty"`     // new people in 24 hours and portfolio: by its tier
	Management int    `json:"management,omitempty"` // calls an hour and account, other than messages: 5000
	Window     string `json:"window,omitempty"`     // what becomes of a message outside the 24 hours: open, fail (accepted, then 131047), refuse
}

// What becomes of a message outside the 24-hour window.
const (
	WindowOpen   = "open"   // it is delivered all the same, with a warning on the page
	WindowFail   = "fail"   // it is accepted and fails later, as it mostly does at Meta
	WindowRefuse = "refuse" // it is refused at once
)

// Statuses say how long after acceptance each status comes. 0 stands for the default given here, -1
// for never.
type Statuses struct {
	Sent      Duration `json:"sent,omitempty"`      // 100 ms
	Delivered Duration `json:"delivered,omitempty"` // 400 ms
	Read      Duration `json:"read,omitempty"`      // never, but see Person.Reads
	Failed    Duration `json:"failed,omitempty"`    // 300 ms
	Held      Duration `json:"held,omitempty"`      // how long Meta looks at what it holds for quality: 5 min
}

// A Webhook is a callback URL of the app.
type Webhook struct {
	URL         string `json:"url,omitempty"`
	VerifyToken string `json:"verify_token,omitempty"`
	Batch       int    `json:"batch,omitempty"` // how many things one body may tell, where they wait; 0: one
}

// A Duration is written as flows write it: 300ms, 6s, 24h, 7d; -1 is less than nothing.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	if string(text) == "-1" {
		*d = -1
		return nil
	}
	of, err := schema.ParseDuration(string(text))
	*d = Duration(of)
	return err
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) {
	if d < 0 {
		return []byte("-1"), nil
	}
	return []byte(schema.FormatDuration(time.Duration(d))), nil
}

// or is the duration, another one in place of 0; ok is false for never.
func (d Duration) or(other time.Duration) (of time.Duration, ok bool) {
	switch {
	case d < 0:
		return 0, false
	case d == 0:
		return other, other >= 0
	}
	return time.Duration(d), true
}

// ReadScene reads a scene, or a list of faults alone.
func ReadScene(text []byte) (Scene, error) {
	var s Scene
	into := any(&s)
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		into = &s.Faults
	}
	if err := decode(text, into); err != nil {
		return s, err
	}
	return s, s.check()
}

// decode reads strict JSON.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return explainJSON(text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more text after the JSON value")
	}
	return nil
}

// explainJSON says where JSON is wrong, without names of Go types.
func explainJSON(text []byte, err error) error {
	at := func(offset int64) string {
		before := text[:min(max(offset, 0), int64(len(text)))]
		line := bytes.Count(before, []byte("\n")) + 1
		return fmt.Sprintf("line %d, column %d", line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]))
	}
	switch err {
	case io.EOF:
		return errors.New("a JSON value is required")
	case io.ErrUnexpectedEOF:
		return errors.New("the JSON value is incomplete")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%s: %w", at(e.Offset), e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		place := at(e.Offset)
		if e.Field != "" {
			place += ": " + e.Field
		}
		article := "a"
		if strings.HasPrefix(e.Value, "array") || strings.HasPrefix(e.Value, "object") {
			article = "an"
		}
		return fmt.Errorf("%s: %s %s is not allowed here", place, article, e.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func (s Scene) check() error {
	for i, a := range s.Accounts {
		if !isID(a.ID) {
			return fmt.Errorf("accounts[%d]: id: %q is not an ID; it must consist of digits", i, a.ID)
		}
		for j, n := range a.Numbers {
			switch {
			case !isID(n.ID):
				return fmt.Errorf("accounts[%d].numbers[%d]: id: %q is not a phone number ID; it must consist of digits", i, j, n.ID)
			case len(n.Allowed) > maxAllowed:
				return fmt.Errorf("accounts[%d].numbers[%d]: allowed: %d numbers, but a test number can have at most %d", i, j, len(n.Allowed), maxAllowed)
			}
		}
	}
	for i, t := range s.Tokens {
		if t.Value == "" {
			return fmt.Errorf("tokens[%d]: token: it must not be empty", i)
		}
	}
	for i, p := range s.People {
		if digits(p.Phone) == "" && p.UserID == "" {
			return fmt.Errorf("people[%d]: phone or user_id is required", i)
		}
	}
	switch s.Limits.Window {
	case "", WindowOpen, WindowFail, WindowRefuse:
	default:
		return fmt.Errorf("limits.window: it cannot be %q; use open, fail or refuse", s.Limits.Window)
	}
	for i := range s.Faults {
		if err := s.Faults[i].check(); err != nil {
			return fmt.Errorf("faults[%d]: %w", i, err)
		}
	}
	return nil
}

// maxAllowed bounds the recipients of a test number.
const maxAllowed = 5

func isID(text string) bool { return text != "" && len(text) <= 32 && digits(text) == text }

// digits are those of a text.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
