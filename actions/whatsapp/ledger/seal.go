package ledger

import (
	"encoding/hex"
	"fmt"

	"facteur/actions/whatsapp/inbound"
)

// An event is a row as it is stored.
type event struct{ id, body []byte }

// seal gives a fact the form that is stored.
func (o Options) seal(f fact) ([]byte, error) {
	body, err := encode(f.Notification)
	if err == nil && o.Seal != nil {
		body, err = o.Seal(body, f.id.context())
	}
	if err != nil {
		return nil, fmt.Errorf("store what a webhook told: %w", err)
	}
	return body, nil
}

// unseal is the reverse.
func (o Options) unseal(id, body []byte) (n inbound.Notification, err error) {
	if o.Open != nil {
		body, err = o.Open(body, identity(id).context())
	}
	if err == nil {
		n, err = decode(body)
	}
	if err != nil {
		return n, fmt.Errorf("read what a webhook told: %w", err)
	}
	return n, nil
}

// context ties what is sealed to its place.
func (id identity) context() []byte { return []byte("ledger " + hex.EncodeToString(id[:])) }

// notifications is what rows say.
func (o Options) notifications(rows []event) ([]inbound.Notification, error) {
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
