package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/actions/whatsapp/templates"

	"golang.org/x/time/rate"
)

// A world holds the state of all accounts, numbers, tokens and people.
type world struct {
	app      App
	open     bool // no accounts are declared: any phone number ID is a number
	accounts []*account
	numbers  map[string]*number
	tokens   map[string]*Token
	people   map[string]*Person // by wa_id or user ID
	magicHit map[string]bool    // who refused a first message
	limits   limits
	media    uploads
	webhook  Webhook
	business map[string]*portfolio
}

// An account is a WABA.
type account struct {
	Account
	numbers   []*number
	templates []*template
	apps      bool // whether the app is subscribed
	calls     hourCounter
}

// A number is a phone number of an account.
type number struct {
	Number
	account *account
	digits  string
	rate    *rate.Limiter // of messages; nil: no limit
	profile fields        // of the business
}

// A template is one of an account's.
type template struct {
	id      string
	def     *templates.Definition
	status  string
	quality string
	created time.Time
}

func newWorld(o Options, now time.Time) (world, error) {
	scene := o.Scene
	w := world{
		app: scene.App, open: len(scene.Accounts) == 0, webhook: scene.Webhook,
		numbers: map[string]*number{}, tokens: map[string]*Token{}, people: map[string]*Person{}, magicHit: map[string]bool{}, business: map[string]*portfolio{},
	}
	w.app.ID = cmp.Or(w.app.ID, DefaultAppID)
	w.app.Name = cmp.Or(w.app.Name, "Facteur")
	w.app.Secret = cmp.Or(w.app.Secret, DefaultAppSecret)
	w.limits = newLimits(scene.Limits, w.open)
	accounts := scene.Accounts
	if w.open {
		account := Account{ID: DefaultAccountID, Name: "Facteur simulator"}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(o.Numbers))) {
			account.Numbers = append(account.Numbers, Number{ID: id})
		}
		accounts = []Account{account}
	}
	for _, a := range accounts {
		if err := w.addAccount(a, o.Templates, now); err != nil {
			return w, err
		}
	}
	for _, t := range scene.Tokens {
		w.tokens[t.Value] = &t
	}
	for _, p := range scene.People {
		w.putPerson(p)
		for _, n := range w.numbers {
			if p.OptedIn {
				w.limits.openWindow(n.ID, p.key(), now)
			}
		}
	}
	return w, nil
}

func (w *world) addAccount(a Account, shared []*templates.Definition, now time.Time) error {
	acct := &account{Account: a, apps: true}
	acct.Name = cmp.Or(a.Name, "Account "+a.ID)
	acct.Business = cmp.Or(a.Business, "9"+a.ID)
	acct.Tier = cmp.Or(a.Tier, "TIER_2K")
	for i, text := range a.Templates {
		d, err := templates.Read(text)
		if err != nil {
			return fmt.Errorf("account %s: templates[%d]: %w", a.ID, i, err)
		}
		acct.templates = append(acct.templates, newTemplate(a.ID, d, now))
	}
	for _, d := range shared {
		if acct.template(d.Name, d.Language) == nil {
			acct.templates = append(acct.templates, newTemplate(a.ID, d, now))
		}
	}
	for _, n := range a.Numbers {
		if w.numbers[n.ID] != nil {
			return fmt.Errorf("account %s: the phone number ID %s is declared twice", a.ID, n.ID)
		}
		w.addNumber(acct, n)
	}
	w.accounts = append(w.accounts, acct)
	return nil
}

func newTemplate(account string, d *templates.Definition, now time.Time) *template {
	return &template{id: hashID(account, d.Name, d.Language), def: d, status: cmp.Or(d.Status, templates.Approved), quality: "UNKNOWN", created: now}
}

// hashID makes an ID that is the same for the same parts.
func hashID(parts ...string) string {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\n"))
	}
	return strconv.FormatUint(1_000_000_000_000_000+h.Sum64()%8_999_999_999_999_999, 10)
}

func (w *world) addNumber(a *account, n Number) *number {
	out := &number{Number: n, account: a}
	if out.digits = digits(n.Phone); out.digits == "" {
		out.digits = "1555" + hashID(n.ID)[9:16]
		out.Phone = "+1 555-" + out.digits[4:7] + "-" + out.digits[7:]
	}
	out.Name = cmp.Or(n.Name, "Facteur")
	out.Quality = cmp.Or(n.Quality, "GREEN")
	out.Status = cmp.Or(n.Status, "CONNECTED")
	out.NameStatus = cmp.Or(n.NameStatus, "APPROVED")
	if n := cmp.Or(n.Throughput, w.limits.throughput); n > 0 {
		out.rate = rate.NewLimiter(rate.Limit(n), n)
	}
	a.numbers = append(a.numbers, out)
	w.numbers[n.ID] = out
	return out
}

// maxOpenNumbers bounds the numbers of an open world, which are made on first use.
const maxOpenNumbers = 1000

// number returns a phone number, nil if there is none. An open world makes it.
func (w *world) number(id string) *number {
	if n := w.numbers[id]; n != nil || !w.open || !isID(id) || w.account(id) != nil {
		return n
	}
	if len(w.numbers) >= maxOpenNumbers {
		return nil
	}
	return w.addNumber(w.accounts[0], Number{ID: id})
}

// account returns a declared WABA, nil if there is none.
func (w *world) account(id string) *account {
	for _, a := range w.accounts {
		if a.ID == id {
			return a
		}
	}
	return nil
}

// waba finds a WABA; in an open world any ID that is none of a number stands for the
// only one there is.
func (w *world) waba(id string) *account {
	a := w.account(id)
	if a == nil && w.open && isID(id) && w.numbers[id] == nil {
		return w.accounts[0]
	}
	return a
}

func (a *account) template(name, language string) *template {
	i := slices.IndexFunc(a.templates, func(t *template) bool { return t.def.Name == name && t.def.Language == language })
	if i < 0 {
		return nil
	}
	return a.templates[i]
}

// key identifies a person: the digits of the wa_id, or the user ID.
func (p *Person) key() string {
	switch {
	case p.WaID != "":
		return digits(p.WaID)
	case p.Phone != "":
		return digits(p.Phone)
	}
	return p.UserID
}

// putPerson adds or replaces a person, under all ids.
func (w *world) putPerson(p Person) {
	for _, key := range []string{p.key(), digits(p.Phone), p.UserID} {
		if key != "" {
			w.people[key] = &p
		}
	}
}

// person returns a person by an id; an unknown one has only that.
func (w *world) person(name string) *Person {
	if p := w.people[name]; p != nil {
		return p
	}
	if isUserID(name) {
		return &Person{UserID: name}
	}
	return &Person{Phone: "+" + digits(name)}
}

func isUserID(name string) bool { return len(name) > 3 && name[2] == '.' }

// PutPerson adds or replaces a person.
func (s *Simulator) PutPerson(p Person) error {
	if digits(p.Phone) == "" && p.UserID == "" {
		return fmt.Errorf("phone or user_id is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.putPerson(p)
	return nil
}

// authorize finds the token of a request: in its header, or in its parameters.
func (s *Simulator) authorize(g *graphCall) *apiError {
	scheme, value, _ := strings.Cut(g.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "OAuth") {
		value = ""
	}
	if value == "" && g.r.URL.RawQuery != "" {
		value = g.r.URL.Query().Get("access_token")
	}
	if value == "" && g.r.Method == http.MethodPost {
		value = g.tokenInBody()
	}
	if value = strings.TrimSpace(value); value == "" {
		return newAPIError(104, "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err *apiError
	g.token, err = s.world.token(value, g.now)
	return err
}

// token finds a token; it is nil where any is good.
func (w *world) token(value string, now time.Time) (*Token, *apiError) {
	if len(w.tokens) == 0 {
		return nil, nil
	}
	t := w.tokens[value]
	r := newAPIError(190, "")
	const stamp = "Monday, 02-Jan-06 15:04:05 MST"
	switch {
	case t == nil:
		return nil, r
	case t.State == "password_changed":
		r.subcode, r.message = 460, "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."
	case t.State == "uninstalled":
		r.subcode, r.message = 458, "Error validating access token: The user has not authorized application "+w.app.ID+"."
	case t.State == "logged_out":
		r.subcode, r.message = 467, "Error validating access token: The session is invalid because the user logged out."
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		r.subcode, r.message = 463, fmt.Sprintf("Error validating access token: Session has expired on %s. The current time is %s.", t.Expires.UTC().Format(stamp), now.UTC().Format(stamp))
	default:
		return t, nil
	}
	return t, r
}

// What tokens are allowed to do.
const (
	messaging  = "whatsapp_business_messaging"
	management = "whatsapp_business_management"
)

func (t *Token) scopes() []string {
	if len(t.Scopes) == 0 {
		return []string{management, messaging}
	}
	return t.Scopes
}

// may reports whether a token, nil for any, has a scope.
func (t *Token) may(scope string) bool { return t == nil || slices.Contains(t.scopes(), scope) }

// sees reports whether a token, nil for any, may access an account.
func (t *Token) sees(a *account) bool {
	return t == nil || len(t.Accounts) == 0 || slices.Contains(t.Accounts, a.ID)
}

// PutToken adds or replaces a token.
func (s *Simulator) PutToken(t Token) error {
	if t.Value == "" {
		return fmt.Errorf("token: it must not be empty")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.tokens[t.Value] = &t
	return nil
}

// raw encodes a value as part of another.
func raw(v any) json.RawMessage { return encode(v) }
