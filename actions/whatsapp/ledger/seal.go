package ledger

import (
	"encoding/hex"
	"fmt"

	"facteur/actions/whatsapp/inbound"
)

// An eventRow is the sealed part of an event's row.
type eventRow struct{ id, body []byte }

// seal encodes and encrypts a fact's notification.
func (o Options) seal(f fact) ([]byte, error) {
	body, err := encode(f.Notification)
	if err == nil && o.Seal != nil {
		body, err = o.Seal(body, f.id.context())
	}
	if err != nil {
		return nil, fmt.Errorf("store the content of a webhook: %w", err)
	}
	return body, nil
}

// unseal is the reverse.
func (o Options) unseal(id, body []byte) (n inbound.Notification, err error) {
	if o.Open != nil {
		body, err = o.Open(body, eventID(id).context())
	}
	if err == nil {
		n, err = decode(body)
	}
	if err != nil {
		return n, fmt.Errorf("read the content of a webhook: %w", err)
	}
	return n, nil
}

// context binds the sealed text to its row.
func (id eventID) context() []byte { return []byte("ledger " + hex.EncodeToString(id[:])) }

// notifications opens rows.
func (o Options) notifications(rows []eventRow) ([]inbound.Notification, error) {
	var all []inbound.Notification
	for _, row := range rows {
		n, err := o.unseal(row.id, row.body)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
