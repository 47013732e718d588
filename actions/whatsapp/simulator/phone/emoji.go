package phone

import "unicode"

// maxLarge is how many emojis alone are drawn large.
const maxLarge = 3

// Large reports whether a text is one to three emojis and nothing else, which WhatsApp draws large.
func Large(text string) bool {
	n, flag, joined := 0, false, false
	for _, r := range text {
		switch {
		case r == '\u200d': // joins two into one
			joined = true
			continue
		case unicode.Is(unicode.Variation_Selector, r), r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0020 && r <= 0xe007f: // how the one before looks
			if n == 0 {
				return false
			}
			continue
		case r >= 0x1f1e6 && r <= 0x1f1ff: // a flag is two
			if flag = !flag; flag {
				n++
			}
			continue
		case r >= 0x1f000 && r < 0x20000, unicode.Is(unicode.So, r) && (r >= 0x2600 && r <= 0x27bf || r >= 0x2b00 && r <= 0x2bff):
			if !joined {
				n++
			}
		default:
			return false
		}
		flag, joined = false, false
	}
	return n > 0 && n <= maxLarge
}
