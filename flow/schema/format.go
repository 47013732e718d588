package schema

import (
	"net/url"
	"regexp"
	"strings"
)

// formats lists the formats of strings.
var formats = [...]string{"e164", "email", "uri", "uuid"}

const (
	e164Pattern  = `^\+[1-9]\d{6,14}$`
	emailPattern = `^[^\s@"(),:;<>\[\]\\]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`
	uuidPattern  = `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`
)

var (
	email = regexp.MustCompile(emailPattern)
	uuid  = regexp.MustCompile(uuidPattern)
)

// format checks the syntax of a format. Whether a phone number or an address exists cannot be
// checked.
func (c *coercer) format(t *Type, s string) {
	switch t.Format {
	case "e164":
		if !isE164(s) {
			c.errorf("format", c.unlessSensitive(phoneHint(s), `write it as "+33612345678"`), "%s is not a phone number in E.164 form", c.quote(s))
		}
	case "email":
		if len(s) > 254 || !email.MatchString(s) {
			c.errorf("format", "", "%s is not an email address", c.quote(s))
		}
	case "uri":
		if problem := uriProblem(s); problem != "" {
			c.errorf("format", `write it as "https://host/path"`, "%s is not a URI: %s", c.quote(s), problem)
		}
	case "uuid":
		if !uuid.MatchString(s) {
			c.errorf("format", "", "%s is not a UUID", c.quote(s))
		}
	}
}

// isE164 matches e164Pattern without the cost of a regular expression.
func isE164(s string) bool {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for _, digit := range []byte(s[1:]) {
		if digit < '0' || digit > '9' {
			return false
		}
	}
	return true
}

// phoneHint says how to write a phone number in E.164 form.
func phoneHint(s string) string {
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \u00a0\u202f\t-./()", r) {
			return -1
		}
		return r
	}, s)
	switch {
	case isE164(bare):
		return "remove spaces and punctuation: " + quoteShort(bare)
	case strings.HasPrefix(bare, "00") && isE164("+"+bare[2:]):
		return "write + in place of 00: " + quoteShort("+"+bare[2:])
	case isE164("+" + bare):
		return "put a + before the country code: " + quoteShort("+"+bare)
	}
	return `write the country code and the number with a + before them, 7 to 15 digits: "+33612345678"`
}

func uriProblem(s string) string {
	if strings.ContainsAny(s, " \t\r\n") {
		return "it contains white space"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "it cannot be parsed"
	case u.Scheme == "":
		return "it has no scheme"
	case u.Host == "" && u.Opaque == "" && u.Path == "":
		return "nothing follows the scheme"
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() == "":
		return "it has no host"
	}
	return ""
}
