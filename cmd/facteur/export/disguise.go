package export

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"facteur/flow/host"
	"facteur/flow/schema"

	"github.com/nyaruka/phonenumbers"
)

// A disguise replaces what is sensitive or personal in a run, the same value by the same
// one wherever it stands: phone numbers by others of the same country, names and e-mail
// addresses by made-up ones, ids of messages by others, sensitive values by some of the
// same form. What people wrote is kept but for those: flows decide by it.
type disguise struct {
	keep  bool // what is personal, but not what is sensitive
	known map[string]string
	order []string // of what is known, the longest first
	count map[string]int
	used  map[string]bool
}

func newDisguise(keep bool) *disguise {
	return &disguise{keep: keep, known: map[string]string{}, count: map[string]int{}, used: map[string]bool{}}
}

// learn looks through all that is known of a run.
func (d *disguise) learn(r *host.Report) {
	for _, c := range r.Calls {
		d.alias(c)
	}
	for i := range r.Calls {
		c := &r.Calls[i]
		d.walk("", c.Input, false)
		if c.Outcome != nil {
			d.walk("", c.Outcome.Output, false)
		}
		for _, receipt := range c.Receipts {
			d.walk("", receipt.Data, false)
		}
	}
	d.walk("inputs", r.Inputs, true)
	for _, e := range r.Journal {
		if e.Kind == "arrived" {
			d.walk("", dataOf(e), true)
		}
	}
	for _, v := range r.Result.Sensitive {
		d.secret(v)
	}
	d.order = slices.Sorted(maps.Keys(d.known))
	slices.SortStableFunc(d.order, func(a, b string) int { return len(b) - len(a) })
}

// alias makes a recipient and the id that WhatsApp has for it one person.
func (d *disguise) alias(c host.Call) {
	to, _ := c.Input["recipient"].(string)
	if d.keep || to == "" {
		return
	}
	d.contact(to)
	if c.Outcome == nil || d.known[to] == "" {
		return
	}
	if id, _ := c.Outcome.Output["wa_id"].(string); id != "" {
		stands := strings.TrimPrefix(d.known[to], "+")
		d.add(id, stands)
		d.add("+"+id, "+"+stands)
	}
}

func (d *disguise) add(value, stands string) {
	if _, ok := d.known[value]; !ok && value != "" {
		d.known[value] = stands
	}
}

var (
	phonePattern   = regexp.MustCompile(`\+[1-9][0-9]{6,14}`)
	emailPattern   = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)
	wamidPattern   = regexp.MustCompile(`wamid\.[A-Za-z0-9+/=_-]+`)
	userIDPattern  = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9.]{4,}$`)
	namePattern    = regexp.MustCompile(`(?i)(^|_)(name|nom|prenom|prénom|surname|nombre|apellido|vorname|nachname)$`)
	noNamePattern  = regexp.MustCompile(`(?i)(^|_)(template|flow|file|shop|company|product|event|brand|city|sender|user)_?name$`)
	contactPattern = regexp.MustCompile(`^(from|to|recipient|wa_id|user_id|parent_user_id|phone|input)$`)
)

// walk learns from a value, which stands under a key. Where people's names may stand in it,
// it learns those, too.
func (d *disguise) walk(key string, v any, names bool) {
	if d.keep {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.walk(k, v[k], names)
		}
	case []any:
		for _, item := range v {
			d.walk(key, item, names)
		}
	case string:
		if contactPattern.MatchString(key) {
			d.contact(v)
		}
		for _, phone := range phonePattern.FindAllString(v, -1) {
			d.contact(phone)
		}
		for _, email := range emailPattern.FindAllString(v, -1) {
			d.add(email, fmt.Sprintf("person-%d@example.com", d.number("email", email)))
		}
		for _, id := range wamidPattern.FindAllString(v, -1) {
			d.add(id, fmt.Sprintf("wamid.TEST-%d", d.number("wamid", id)))
		}
		if names && namePattern.MatchString(key) && !noNamePattern.MatchString(key) && utf8.RuneCountInString(v) > 1 && strings.ContainsFunc(v, unicode.IsLetter) {
			d.add(v, madeUpName(d.number("name", v)))
		}
	}
}

// number counts the values of a kind.
func (d *disguise) number(kind, value string) int {
	if _, ok := d.known[value]; !ok {
		d.count[kind]++
	}
	return d.count[kind]
}

func madeUpName(n int) string {
	names := [...]string{"Alix", "Noor", "Sacha", "Robin", "Camille", "Yaël", "Loïs", "Ariel", "Charlie", "Morgan"}
	if n <= len(names) {
		return names[n-1]
	}
	return fmt.Sprintf("%s %d", names[n%len(names)], n)
}

// contact learns a phone number, with or without its plus, or a business-scoped user ID.
func (d *disguise) contact(id string) {
	if _, ok := d.known[id]; ok {
		return
	}
	if userIDPattern.MatchString(id) {
		d.add(id, fmt.Sprintf("%s.%015d", id[:2], d.number("user", id)))
		return
	}
	plain := strings.TrimPrefix(id, "+")
	number, err := phonenumbers.Parse("+"+plain, "")
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return
	}
	stands := d.phone(phonenumbers.GetRegionCodeForNumber(number), number.GetCountryCode())
	if stands == "" {
		return
	}
	d.add("+"+plain, stands)
	d.add(plain, strings.TrimPrefix(stands, "+"))
	if text := phonenumbers.Format(number, phonenumbers.E164); text != "+"+plain {
		d.add(text, stands)
	}
}

// phone makes up a mobile number of a country: the example that libphonenumber has for it,
// with another end. "" when it has none.
func (d *disguise) phone(region string, country int32) string {
	if region == "" || region == "ZZ" || region == "001" {
		region = phonenumbers.GetRegionCodeForCountryCode(int(country))
	}
	example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if example == nil {
		example = phonenumbers.GetExampleNumber(region)
	}
	if example == nil {
		return ""
	}
	base := phonenumbers.Format(example, phonenumbers.E164)
	for n := range 10000 {
		text := base
		if n > 0 {
			text = base[:len(base)-4] + fmt.Sprintf("%04d", n)
		}
		number, err := phonenumbers.Parse(text, "")
		if err == nil && phonenumbers.IsValidNumber(number) && !d.used[text] {
			d.used[text] = true
			return text
		}
	}
	return ""
}

// secret learns a sensitive value, and what lists and maps among them hold.
func (d *disguise) secret(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.secret(v[k])
		}
	case []any:
		for _, item := range v {
			d.secret(item)
		}
	case string:
		d.contact(v)
		d.sameForm(v)
	case int64:
		d.sameForm(strconv.FormatInt(v, 10))
	case float64:
		d.sameForm(floatText(v))
	case time.Time:
		text := timeText(v)
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		d.add(text, timeText(day.Add(time.Duration(d.chance(text).IntN(20*365*24*3600))*time.Second)))
	case time.Duration:
		text := schema.FormatDuration(v)
		stands := d.other(text, func(r *rand.Rand) string { return withDigits(text, r) })
		d.add(text, stands)
		if other, err := schema.ParseDuration(stands); err == nil { // CEL writes them in seconds
			d.add(floatText(v.Seconds())+"s", floatText(other.Seconds())+"s")
		}
	}
}

func floatText(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func timeText(v time.Time) string { return v.UTC().Format(time.RFC3339Nano) }

// chance is what a sensitive value is made up with. It depends on how many there were before
// it, and on nothing else.
func (d *disguise) chance(value string) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(d.number("secret", value)), 0))
}

// sameForm makes up a text with a letter for each letter and a digit for each digit.
func (d *disguise) sameForm(v string) {
	if len(v) < 2 || d.known[v] != "" {
		return
	}
	stands := d.other(v, func(r *rand.Rand) string {
		return strings.Map(func(c rune) rune {
			switch {
			case unicode.IsUpper(c):
				return 'A' + rune(r.IntN(26))
			case unicode.IsLetter(c):
				return 'a' + rune(r.IntN(26))
			}
			return c
		}, withDigits(v, r))
	})
	if stands != v {
		d.add(v, stands)
	}
}

// other makes up a value until it is another one, if there may be any.
func (d *disguise) other(value string, makeUp func(*rand.Rand) string) (stands string) {
	for range 100 {
		if stands = makeUp(d.chance(value)); stands != value {
			break
		}
	}
	return stands
}

// withDigits puts other digits into a text. One that begins with 0 still does.
func withDigits(text string, r *rand.Rand) string {
	b := []byte(text)
	for i, c := range b {
		if c >= '1' && c <= '9' || c == '0' && i > 0 {
			b[i] = '1' + byte(r.IntN(9))
		}
	}
	return string(b)
}

// text disguises a text.
func (d *disguise) text(s string) string {
	if stands, ok := d.known[s]; ok {
		return stands
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		value := d.at(s, i)
		if value == "" {
			_, size := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+size])
			i += size
			continue
		}
		b.WriteString(d.known[value])
		i += len(value)
	}
	return b.String()
}

// at returns what is known and stands at a place of a text by itself; "" for nothing.
func (d *disguise) at(s string, i int) string {
	for _, value := range d.order {
		if len(value) < 3 || !strings.HasPrefix(s[i:], value) {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len(value):])
		first, _ := utf8.DecodeRuneInString(value)
		last, _ := utf8.DecodeLastRuneInString(value)
		if wordy(before) && wordy(first) || wordy(last) && wordy(after) {
			continue // in the middle of another word or number
		}
		return value
	}
	return ""
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// value disguises a value as it stands in flows.
func (d *disguise) value(v any) any {
	switch v := v.(type) {
	case string:
		return d.text(v)
	case int64:
		return swapped(d, v, strconv.FormatInt(v, 10), func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
	case float64:
		return swapped(d, v, floatText(v), func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
	case time.Time:
		return swapped(d, v, timeText(v), func(text string) (time.Time, error) { return time.Parse(time.RFC3339Nano, text) })
	case time.Duration:
		return swapped(d, v, schema.FormatDuration(v), schema.ParseDuration)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[d.text(k)] = d.value(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = d.value(x)
		}
		return out
	}
	return v
}

// swapped disguises a value that is no text, by the text that it has.
func swapped[T any](d *disguise, v T, text string, parse func(string) (T, error)) T {
	if stands, ok := d.known[text]; ok {
		if other, err := parse(stands); err == nil {
			return other
		}
	}
	return v
}

func (d *disguise) object(v map[string]any) map[string]any {
	out, _ := d.value(v).(map[string]any)
	return out
}
