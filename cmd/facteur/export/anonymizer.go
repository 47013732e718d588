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

// An anonymizer replaces sensitive and personal values in a run, equal ones by equal ones: phone
// numbers by others of the same country, names and e-mail addresses by made-up ones, ids of
// messages by others, sensitive values by others of the same form. Otherwise the texts of messages
// are kept, because flows decide by them.
type anonymizer struct {
	keepPersonal bool // personal values, not sensitive ones
	replacements map[string]string
	order        []string // the keys of replacements, the longest first
	count        map[string]int
	used         map[string]bool
}

func newAnonymizer(keep bool) *anonymizer {
	return &anonymizer{keepPersonal: keep, replacements: map[string]string{}, count: map[string]int{}, used: map[string]bool{}}
}

// learn collects the values to replace from all parts of a run.
func (d *anonymizer) learn(r *host.Report) {
	for _, c := range r.Calls {
		d.alias(c)
	}
	for i := range r.Calls {
		c := &r.Calls[i]
		d.scan("", c.Input, false)
		if c.Outcome != nil {
			d.scan("", c.Outcome.Output, false)
		}
		for _, receipt := range c.Receipts {
			d.scan("", receipt.Data, false)
		}
	}
	d.scan("inputs", r.Inputs, true)
	for _, e := range r.Journal {
		if e.Kind == "arrived" {
			d.scan("", dataOf(e), true)
		}
	}
	for _, v := range r.Result.Sensitive {
		d.secret(v)
	}
	d.order = slices.Sorted(maps.Keys(d.replacements))
	slices.SortStableFunc(d.order, func(a, b string) int { return len(b) - len(a) })
}

// alias gives a recipient and its wa_id the same replacement.
func (d *anonymizer) alias(c host.Call) {
	to, _ := c.Input["recipient"].(string)
	if d.keepPersonal || to == "" {
		return
	}
	d.contact(to)
	if c.Outcome == nil || d.replacements[to] == "" {
		return
	}
	if id, _ := c.Outcome.Output["wa_id"].(string); id != "" {
		stands := strings.TrimPrefix(d.replacements[to], "+")
		d.add(id, stands)
		d.add("+"+id, "+"+stands)
	}
}

func (d *anonymizer) add(value, stands string) {
	if _, ok := d.replacements[value]; !ok && value != "" {
		d.replacements[value] = stands
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

// scan collects the personal values in the value of a key; people's names only if names is set.
func (d *anonymizer) scan(key string, v any, names bool) {
	if d.keepPersonal {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.scan(k, v[k], names)
		}
	case []any:
		for _, item := range v {
			d.scan(key, item, names)
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

// number numbers the distinct values of a kind.
func (d *anonymizer) number(kind, value string) int {
	if _, ok := d.replacements[value]; !ok {
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

// contact adds a phone number, with or without its plus, or a business-scoped user ID.
func (d *anonymizer) contact(id string) {
	if _, ok := d.replacements[id]; ok {
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

// phone makes up a mobile number of a country: libphonenumber's example with other last digits; ""
// if there is no example.
func (d *anonymizer) phone(region string, country int32) string {
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

// secret adds a sensitive value, and those inside lists and maps.
func (d *anonymizer) secret(v any) {
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
		d.add(text, timeText(day.Add(time.Duration(d.random(text).IntN(20*365*24*3600))*time.Second)))
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

// random is the source of a made-up value. Its seed depends only on how many values came before,
// not on the value.
func (d *anonymizer) random(value string) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(d.number("secret", value)), 0))
}

// sameForm makes up a text with a letter for each letter and a digit for each digit.
func (d *anonymizer) sameForm(v string) {
	if len(v) < 2 || d.replacements[v] != "" {
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

// other makes up values until one differs from the original; after a while it gives up.
func (d *anonymizer) other(value string, makeUp func(*rand.Rand) string) (stands string) {
	for range 100 {
		if stands = makeUp(d.random(value)); stands != value {
			break
		}
	}
	return stands
}

// withDigits replaces the digits of a text. A leading 0 stays.
func withDigits(text string, r *rand.Rand) string {
	b := []byte(text)
	for i, c := range b {
		if c >= '1' && c <= '9' || c == '0' && i > 0 {
			b[i] = '1' + byte(r.IntN(9))
		}
	}
	return string(b)
}

// text anonymizes a text.
func (d *anonymizer) text(s string) string {
	if stands, ok := d.replacements[s]; ok {
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
		b.WriteString(d.replacements[value])
		i += len(value)
	}
	return b.String()
}

// at returns the longest value to replace at an offset of a text that is not part of a longer word;
// "" for none.
func (d *anonymizer) at(s string, i int) string {
	for _, value := range d.order {
		if len(value) < 3 || !strings.HasPrefix(s[i:], value) {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len(value):])
		first, _ := utf8.DecodeRuneInString(value)
		last, _ := utf8.DecodeLastRuneInString(value)
		if isWordRune(before) && isWordRune(first) || isWordRune(last) && isWordRune(after) {
			continue // in the middle of another word or number
		}
		return value
	}
	return ""
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// value anonymizes a value of a flow.
func (d *anonymizer) value(v any) any {
	switch v := v.(type) {
	case string:
		return d.text(v)
	case int64:
		return replaceParsed(d, v, strconv.FormatInt(v, 10), func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
	case float64:
		return replaceParsed(d, v, floatText(v), func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
	case time.Time:
		return replaceParsed(d, v, timeText(v), func(text string) (time.Time, error) { return time.Parse(time.RFC3339Nano, text) })
	case time.Duration:
		return replaceParsed(d, v, schema.FormatDuration(v), schema.ParseDuration)
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

// replaceParsed anonymizes a value that is not a text by way of its text.
func replaceParsed[T any](d *anonymizer, v T, text string, parse func(string) (T, error)) T {
	if stands, ok := d.replacements[text]; ok {
		if other, err := parse(stands); err == nil {
			return other
		}
	}
	return v
}

func (d *anonymizer) object(v map[string]any) map[string]any {
	out, _ := d.value(v).(map[string]any)
	return out
}
