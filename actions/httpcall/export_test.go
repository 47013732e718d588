package httpcall

import "net/netip"

// KindOf tells where an address leads: "public", "private" or "local".
func KindOf(a netip.Addr) string {
	switch addressKindOf(a) {
	case private:
		return "private"
	case local:
		return "local"
	}
	return string(public)
}
