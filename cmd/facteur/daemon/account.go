package daemon

import (
	"encoding/json"
	"slices"
	"strings"

	"facteur/actions/whatsapp/ledger"
)

// mostDetails bounds what is logged of a change, in bytes.
const mostDetails = 1000

// tellAccount logs what Meta tells about the account, its numbers and its templates, which
// no run waits for, and sees to it that the numbers are looked at again.
func (d *Daemon) tellAccount(connection string, news []ledger.News) {
	for _, n := range news {
		if n.Known || !isAboutAccount(n.Kind) {
			continue
		}
		attrs := []any{"connection", connection, "about", n.Kind}
		if n.Status != "" {
			attrs = append(attrs, "status", n.Status)
		}
		if details, err := json.Marshal(n.Details); err == nil && len(n.Details) > 0 {
			attrs = append(attrs, "details", strings.ToValidUTF8(string(details[:min(len(details), mostDetails)]), ""))
		}
		d.log.Warn("Meta tells of a change", attrs...)
		select {
		case d.changed <- struct{}{}:
		default:
		}
	}
}

// isAboutAccount tells of the kinds of notifications that somebody who looks after the
// account wants to know of: they may stop messages from going out.
func isAboutAccount(kind string) bool {
	return slices.ContainsFunc([]string{"account_", "business_", "message_template_", "template_", "phone_number_", "security"},
		func(prefix string) bool { return strings.HasPrefix(kind, prefix) })
}
