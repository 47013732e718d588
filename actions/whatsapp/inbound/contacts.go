package inbound

import (
	"cmp"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A person is somebody on WhatsApp, as webhooks tell. Somebody with a user name may have
// no number.
type person struct{ waID, otherWaID, userID, parentID, username, name string }

// contacts are those whom the contacts of a value tell more about, by number and user ID.
type contacts struct {
	all  map[string]person // nil: nobody is told of, as with most statuses
	only *person           // nil: it must be one of all
}

func contactsOf(value schema.Value) contacts {
	list := graph.Many(value.Field("contacts"))
	if len(list) == 0 {
		return contacts{}
	}
	p := contacts{all: map[string]person{}}
	items := 0
	for _, name := range []string{"messages", "statuses", "message_echoes", "calls", "user_preferences", "user_id_update"} {
		items += len(graph.Many(value.Field(name)))
	}
	for _, c := range list {
		one := person{
			waID:     graph.Word(c.Field("wa_id")),
			userID:   graph.Word(c.Field("user_id")),
			parentID: graph.Word(c.Field("parent_user_id")),
			username: cmp.Or(graph.Word(c.Get("profile", "username")), graph.Word(c.Field("username"))),
			name:     graph.Word(c.Get("profile", "name")),
		}
		for _, id := range []string{one.waID, one.userID, one.parentID} {
			if _, known := p.all[id]; id != "" && !known {
				p.all[id] = one
			}
		}
		if len(list) == 1 && items == 1 {
			p.only = &one
		}
	}
	return p
}

// find tells all that is known about somebody. The only contact of a value with only one
// thing to tell is meant, even where its number is written in another way, such as
// with the 9 of Brazil: both are then theirs.
func (p contacts) find(waID, userID, parentID schema.Value) person {
	given := person{waID: graph.Word(waID), userID: graph.Word(userID), parentID: graph.Word(parentID)}
	var known person
	ok := false
	for _, id := range []string{given.waID, given.userID, given.parentID} {
		if known, ok = p.all[id]; ok {
			break
		}
	}
	if !ok && p.only != nil {
		known = *p.only
	}
	all := person{
		waID: cmp.Or(given.waID, known.waID), userID: cmp.Or(given.userID, known.userID), parentID: cmp.Or(given.parentID, known.parentID),
		username: known.username, name: known.name,
	}
	if known.waID != all.waID {
		all.otherWaID = known.waID
	}
	return all
}

// person is the one whom it is about, in a form that recipient takes.
func (n *Notification) person() string {
	return cmp.Or(recipientForm(n.WaID), n.UserID, n.ParentUserID)
}

func (n *Notification) setPerson(p person) {
	n.WaID, n.OtherWaID, n.UserID, n.ParentUserID, n.Username, n.ProfileName = p.waID, p.otherWaID, p.userID, p.parentID, p.username, p.name
}
