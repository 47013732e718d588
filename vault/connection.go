package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// An App says what a connection is for, and so which fields it has.
type App string

// The apps.
const (
	WhatsApp App = "WHATSAPP" // the WhatsApp Cloud API
	HTTP     App = "HTTP"     // credentials for http.request
	Webhook  App = "WEBHOOK"  // what an incoming webhook proves itself with
)

// Apps returns all apps.
func Apps() []App { return []App{HTTP, Webhook, WhatsApp} }

// A Connection is a named set of credentials. A vault returns the same maps to all callers:
// they must not be changed.
type Connection struct {
	Name string
	App  App

	// Setup holds the plain fields, such as sender_phone_id.
	Setup map[string]string

	// Secrets holds the secret fields, such as token.
	Secrets map[string]Secret

	// Version changes when a secret changes, and only then. It reveals nothing
	// about the secrets, and differs in another process.
	Version string
}

// Secret returns a secret field; the zero Secret if it is not set.
func (c Connection) Secret(field string) Secret { return c.Secrets[field] }

// Get returns a plain field; "" if it is not set.
func (c Connection) Get(field string) string { return c.Setup[field] }

// A Field describes one field of an app's connections.
type Field struct {
	Name     string
	Secret   bool   // kept hidden; never in the project file
	Required bool   // a connection without it does not resolve
	For      string // the only type (see the field "type") that has it; "" for all
	Doc      string
	Pattern  string // what a value must match, a regular expression; "" for anything
}

const (
	digits       = `^[0-9]+$`
	address      = `^https?://[^\s/@?#]+(/[^\s?#]*)?$`
	visibleASCII = `^[!-~]+$` // visible ASCII: it goes into a header
	header       = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
)

// Fields returns the fields of an app's connections, in the order in which to
// ask for them; nil if there is no such app.
func Fields(app App) []Field {
	switch app {
	case WhatsApp:
		return []Field{
			{Name: "token", Secret: true, Required: true, Pattern: visibleASCII, Doc: "access token of a system user, with whatsapp_business_messaging"},
			{Name: "app_secret", Secret: true, Pattern: visibleASCII, Doc: "secret of the Meta app, which signs webhooks"},
			{Name: "verify_token", Secret: true, Doc: "text of your choice that Meta sends back when a webhook is registered"},
			{Name: "sender_phone_id", Pattern: digits, Doc: "phone number ID to send from; not a phone number"},
			{Name: "waba_id", Pattern: digits, Doc: "WhatsApp Business Account ID"},
			{Name: "business_id", Pattern: digits, Doc: "ID of the business portfolio; not the WABA"},
			{Name: "api_version", Pattern: `^v\d+\.\d+$`, Doc: "version of the Graph API, such as v23.0"},
			{Name: "base_url", Pattern: address, Doc: "address of the API, such as https://graph.facebook.com, if it is not Meta's"},
			{Name: "type", Pattern: `^TOKEN$`, Doc: "TOKEN"},
		}
	case HTTP:
		return []Field{
			{Name: "type", Pattern: `^(bearer|basic|header)$`, Doc: "how requests authenticate: bearer, basic or header"},
			{Name: "token", Secret: true, Required: true, For: "bearer", Pattern: visibleASCII, Doc: "bearer token"},
			{Name: "username", Required: true, For: "basic", Pattern: `^[^:]+$`, Doc: "user name"},
			{Name: "password", Secret: true, Required: true, For: "basic", Doc: "password"},
			{Name: "header", Required: true, For: "header", Pattern: header, Doc: "name of the header, such as X-Api-Key"},
			{Name: "value", Secret: true, Required: true, For: "header", Doc: "value of the header"},
			{Name: "base_url", Pattern: address, Doc: "address that the credentials belong to, such as https://api.shop.test"},
		}
	case Webhook:
		return []Field{
			{Name: "type", Pattern: `^(hmac|shared)$`, Doc: "hmac (default): the body is signed; shared: a header contains the secret itself"},
			{Name: "secret", Secret: true, Required: true, Doc: "shared with the sender"},
			{Name: "header", Pattern: header, Doc: "header that carries the signature or the secret, instead of X-Hub-Signature-256 (hmac) or Authorization (shared)"},
		}
	}
	return nil
}

func fieldOf(app App, name string) (Field, bool) {
	fields := Fields(app)
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// fillIn sets the type, if it is missing, and the version.
func (c *Connection) fillIn(digestKey []byte) {
	if c.Setup == nil {
		c.Setup = map[string]string{}
	}
	for field, s := range c.Secrets {
		// A file or a here-document leaves a newline that is not part of the secret.
		if v := s.Reveal(); strings.HasSuffix(v, "\n") {
			c.Secrets[field] = NewSecret(strings.TrimRight(v, "\r\n"))
		}
	}
	if c.Setup["type"] == "" {
		switch {
		case c.App == WhatsApp:
			c.Setup["type"] = "TOKEN"
		case c.App == Webhook:
			c.Setup["type"] = "hmac"
		case c.App == HTTP && c.has("password"):
			c.Setup["type"] = "basic"
		case c.App == HTTP && c.has("value"):
			c.Setup["type"] = "header"
		case c.App == HTTP:
			c.Setup["type"] = "bearer"
		}
	}
	c.Version = digest(digestKey, c.Secrets)
}

// digest is a keyed hash of the secrets.
func digest(key []byte, secrets map[string]Secret) string {
	h := hmac.New(sha256.New, key)
	text := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	for _, field := range slices.Sorted(maps.Keys(secrets)) {
		text(field)
		text(secrets[field].Reveal())
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

func (c Connection) has(field string) bool {
	return c.Setup[field] != "" || !c.Secrets[field].IsZero()
}

// missing returns the required fields that are not there.
func (c Connection) missing() []string {
	var names []string
	for _, f := range Fields(c.App) {
		if f.Required && (f.For == "" || f.For == c.Setup["type"]) && !c.has(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// check returns an error about the first field that does not have its form. It
// is not checkEdit itself, whose nil would be an error that is not nil.
func (c Connection) check() error {
	if err := checkEdit(c.Name, c.App, c.Setup, c.Secrets); err != nil {
		return err
	}
	return nil
}

// hint returns the first secret, masked.
func (c Connection) hint() string {
	for _, f := range Fields(c.App) {
		if s := c.Secrets[f.Name]; !s.IsZero() {
			return s.mask()
		}
	}
	return ""
}

// checkEdit checks that the app has those fields and that their values have
// the right form. It never shows a value: a token may have been pasted into
// the wrong field.
func checkEdit(name string, app App, setup map[string]string, secrets map[string]Secret) *InvalidFieldError {
	if Fields(app) == nil {
		return &InvalidFieldError{Connection: name, App: app, Field: "app", Problem: "there is no such app", Hint: "use one of " + joinNames(Apps())}
	}
	for _, field := range slices.Sorted(maps.Keys(setup)) {
		f, ok := fieldOf(app, field)
		switch {
		case !ok:
			return unknownField(name, app, field)
		case f.Secret:
			return &InvalidFieldError{Connection: name, App: app, Field: field, Problem: "it is a secret and does not belong in plain text", Hint: "store it in the vault"}
		}
		if err := f.check(name, app, setup[field]); err != nil {
			return err
		}
	}
	for _, field := range slices.Sorted(maps.Keys(secrets)) {
		f, ok := fieldOf(app, field)
		if !ok {
			return unknownField(name, app, field)
		}
		if err := f.check(name, app, secrets[field].Reveal()); err != nil {
			return err
		}
	}
	return nil
}

func (f Field) check(name string, app App, value string) *InvalidFieldError {
	if value == "" {
		return nil // missing tells of required fields
	}
	problem := ""
	switch {
	case strings.ContainsFunc(value, unicode.IsControl):
		problem = "it contains a line break or another control character"
	case f.Pattern == visibleASCII && strings.ContainsFunc(value, unicode.IsSpace):
		problem = "it contains a space"
	case f.Pattern != "" && !regexp.MustCompile(f.Pattern).MatchString(value):
		problem = "it does not match " + f.Pattern
	default:
		return nil
	}
	return &InvalidFieldError{Connection: name, App: app, Field: f.Name, Problem: problem, Hint: "expected: " + f.Doc}
}

func unknownField(name string, app App, field string) *InvalidFieldError {
	var names []string
	for _, f := range Fields(app) {
		names = append(names, f.Name)
	}
	return &InvalidFieldError{Connection: name, App: app, Field: field, Problem: "there is no such field", Hint: "use one of " + joinNames(names)}
}

func joinNames[S ~string](items []S) string {
	texts := make([]string, len(items))
	for i, s := range items {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
