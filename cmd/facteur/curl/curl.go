// Package curl reads curl commands as people paste them.
package curl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Command is the request of a curl command, without its headers, which may hold secrets.
type Command struct {
	URL  string
	Data string // the body, never empty
}

// Is reports whether a text is a curl command.
func Is(text string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n$>"), "curl")
	rest = strings.TrimPrefix(rest, ".exe")
	return ok && rest != "" && strings.Contains(" \t\r\n\\", rest[:1])
}

// Options of curl that take a value and do not matter here.
const valued = " A b c C D e E F H K m o r t T u U w x X Y y z P Q " +
	"cacert cert cert-type ciphers config connect-timeout cookie cookie-jar dump-header form key limit-rate max-redirs max-time " +
	"noproxy oauth2-bearer output proxy proxy-header proxy-user range referer request resolve retry retry-delay retry-max-time " +
	"stderr tls-max trace trace-ascii user user-agent write-out header "

// Parse reads a curl command as a shell would. It is an error if it has no body, or one that
// is not in the command itself.
func Parse(text string) (Command, error) {
	words, err := shellWords(text)
	if err != nil {
		return Command{}, err
	}
	for len(words) > 0 && (words[0] == "$" || words[0] == ">") {
		words = words[1:]
	}
	if len(words) == 0 {
		return Command{}, errors.New("there is no command in it")
	}
	words = words[1:] // curl
	var c Command
	var data []string
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		name, value, has := option(word)
		if name == "" {
			if word != "" && c.URL == "" {
				c.URL = word
			}
			continue
		}
		if takesValue(name) && !has {
			if len(words) == 0 {
				return c, fmt.Errorf("the option %s has no value", word)
			}
			value, words = words[0], words[1:]
		}
		switch name {
		case "url":
			c.URL = value
		case "d", "data", "data-raw", "data-ascii", "data-binary", "json":
			if strings.HasPrefix(value, "@") && name != "data-raw" {
				return c, fmt.Errorf("the body is in the file %s: import that file instead", value[1:])
			}
			data = append(data, value)
		case "F", "form", "T", "upload-file":
			return c, errors.New("it uploads a file; a step sends messages: give the id that the upload answers with")
		case "data-urlencode", "G", "get":
			return c, errors.New("its data are no JSON body")
		}
	}
	c.Data = strings.Join(data, "&")
	if strings.TrimSpace(c.Data) == "" {
		return c, errors.New("it has no body: -d '{…}' is missing")
	}
	return c, nil
}

// option splits an option into name and value; name is "" for another word.
func option(word string) (name, value string, has bool) {
	switch {
	case strings.HasPrefix(word, "--") && len(word) > 2:
		name, value, has = strings.Cut(word[2:], "=")
		if has && !takesValue(name) {
			return word[2:], "", false
		}
		return name, value, has
	case !strings.HasPrefix(word, "-") || len(word) < 2:
		return "", "", false
	}
	// Letters stand together, the last may have its value right behind it: -sSXPOST.
	for i := 1; i < len(word); i++ {
		letter := word[i : i+1]
		if takesValue(letter) {
			return letter, word[i+1:], i+1 < len(word)
		}
	}
	return word[len(word)-1:], "", false
}

func takesValue(name string) bool {
	switch name {
	case "d", "data", "data-raw", "data-ascii", "data-binary", "data-urlencode", "json", "url":
		return true
	}
	return name != "" && !strings.Contains(name, " ") && strings.Contains(valued, " "+name+" ")
}

// shellWords splits a command as a POSIX shell does: single, double and $'…' quotes,
// backslashes, lines that go on. A line break outside quotes is a space, because what is
// pasted often lost its backslash; so is the ^ at the end of a line of Windows.
func shellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false // a word has begun
	end := func() {
		if open {
			words = append(words, word.String())
			word.Reset()
			open = false
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'' || c == '"' || strings.HasPrefix(text[i:], "$'"):
			end := quoted(&word, text, i)
			if end < 0 {
				return nil, fmt.Errorf("the quote in line %d does not end", 1+strings.Count(text[:i], "\n"))
			}
			open, i = true, end
		case c == '\\' || c == '^':
			rest := strings.TrimLeft(text[i+1:], " \t\r")
			switch {
			case rest == "" || rest[0] == '\n': // the line goes on
				i = len(text) - len(rest)
			case c == '\\':
				_, size := utf8.DecodeRuneInString(text[i+1:])
				word.WriteString(text[i+1 : i+1+size])
				open, i = true, i+1+size
			default:
				word.WriteByte(c)
				open, i = true, i+1
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			end()
			i++
		default:
			word.WriteByte(c)
			open, i = true, i+1
		}
	}
	end()
	return words, nil
}

// quoted reads '…', "…" or $'…' at i, and returns where it ends, -1 if it does not.
func quoted(word *strings.Builder, text string, i int) int {
	quote, ansi := text[i], text[i] == '$'
	if ansi {
		quote, i = '\'', i+1
	}
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return i + 1
		case c == '\\' && ansi && i+1 < len(text):
			i += ansiEscape(word, text[i+1:])
		case c == '\\' && quote == '"' && i+1 < len(text) && strings.IndexByte("\\\"$`\n", text[i+1]) >= 0:
			i++
			if text[i] != '\n' {
				word.WriteByte(text[i])
			}
		default:
			word.WriteByte(c)
		}
	}
	return -1
}

// ansiEscape writes what stands behind a backslash in $'…', and returns its length.
func ansiEscape(word *strings.Builder, text string) int {
	if i := strings.IndexByte(`abefnrtv\'"?`, text[0]); i >= 0 {
		word.WriteByte("\a\b\x1b\f\n\r\t\v\\'\"?"[i])
		return 1
	}
	for _, form := range [...]struct {
		letter byte
		digits int
	}{{'x', 2}, {'u', 4}, {'U', 8}} {
		if text[0] != form.letter {
			continue
		}
		n := 1
		for n < len(text) && n <= form.digits && strings.IndexByte("0123456789abcdefABCDEF", text[n]) >= 0 {
			n++
		}
		if code, err := strconv.ParseUint(text[1:n], 16, 32); err == nil {
			if form.letter == 'x' {
				word.WriteByte(byte(code))
			} else {
				word.WriteRune(rune(code))
			}
			return n
		}
	}
	word.WriteByte('\\')
	word.WriteByte(text[0])
	return 1
}
