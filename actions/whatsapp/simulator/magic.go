package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"facteur/actions/whatsapp/graph"
)

// The ranges of magic numbers. The French regulator reserves them for films and books: nobody has
// such a number, so nobody is reached if a flow with one runs against the real API.
const (
	magicRefused = "3319900" // +33 1 99 00 CCCC: refused at once, with the code that ends in CCCC
	magicFails   = "3326191" // +33 2 61 91 CCCC: accepted, and fails later with that code
	magicDoes    = "3353649" // +33 5 36 49 NNNN: what the table says
)

// A Magic is a recipient that leads to one outcome.
type Magic struct {
	Phone string // "+33536490001"; CCCC stands for the last four digits of a code
	Does  string

	fault   Fault
	reads   bool
	told    []string // the statuses that come; nil: sent and delivered, and read where it reads
	held    bool
	waID    string
	replies string // says this once the message was read
	acts    string // what else the person does: echo, tap, react, image
	first   int64  // the code that refuses the first message only
}

// Magics returns the table of magic recipients.
func Magics() []Magic {
	table := []Magic{
		{Phone: "+33 1 99 00 CCCC", Does: "refused with the error code that ends in the last four digits: 1047 is 131047, 0190 is 190"},
		{Phone: "+33 2 61 91 CCCC", Does: "accepted; fails later, by webhook, with the error code that ends in the last four digits"},
	}
	return append(table, magicOutcomes()...)
}

// magicOutcomes are the recipients of the last range.
func magicOutcomes() []Magic {
	number := func(n int) string { return fmt.Sprintf("+%s%04d", magicDoes, n) }
	return []Magic{
		{Phone: number(1), Does: "accepted; no status ever arrives", fault: Fault{Do: Silent}},
		{Phone: number(2), Does: "sent, never delivered", told: []string{sent}},
		{Phone: number(3), Does: "delivered and read", reads: true},
		{Phone: number(4), Does: "read, without a delivered status before", reads: true, told: []string{read}},
		{Phone: number(5), Does: "the delivered status arrives before the sent status", fault: Fault{Do: Reorder}},
		{Phone: number(6), Does: "each status arrives twice", fault: Fault{Do: Duplicate}},
		{Phone: number(7), Does: "the statuses arrive an hour late", fault: Fault{Do: Late, Delay: Duration(time.Hour)}},
		{Phone: number(8), Does: "has a wa_id that differs from its number, like some numbers in Brazil and Mexico", waID: magicDoes + "9008"},

		{Phone: number(10), Does: "delivered and read; replies: oui", reads: true, replies: "oui"},
		{Phone: number(11), Does: "delivered and read; replies: non", reads: true, replies: "non"},
		{Phone: number(12), Does: "delivered and read; replies: STOP", reads: true, replies: "STOP"},
		{Phone: number(13), Does: "delivered and read; replies with the text of the message", reads: true, acts: "echo"},
		{Phone: number(14), Does: "delivered and read; taps the first button, or selects the first row", reads: true, acts: "tap"},
		{Phone: number(15), Does: "delivered and read; taps the second button, or selects the second row", reads: true, acts: "tap2"},
		{Phone: number(16), Does: "delivered and read; reacts with a thumbs up", reads: true, acts: "react"},
		{Phone: number(17), Does: "delivered and read; replies with an image", reads: true, acts: "image"},

		{Phone: number(20), Does: "accepted; the connection is closed without an answer", fault: Fault{Do: Drop}},
		{Phone: number(21), Does: "accepted; no answer ever comes", fault: Fault{Do: Hang}},
		{Phone: number(22), Does: "not accepted; the connection is reset", fault: Fault{Do: Reset}},
		{Phone: number(23), Does: "accepted; the answer is cut off", fault: Fault{Do: Truncate}},
		{Phone: number(24), Does: "accepted; a gateway answers 502 with HTML", fault: Fault{Do: Status, Accepted: true}},
		{Phone: number(25), Does: "not accepted; a gateway answers 502 with HTML", fault: Fault{Do: Status}},
		{Phone: number(26), Does: "accepted; the answer takes 5 seconds", fault: Fault{Do: Delay, Delay: Duration(5 * time.Second)}},
		{Phone: number(27), Does: "accepted; the answer takes 60 seconds", fault: Fault{Do: Delay, Delay: Duration(time.Minute)}},

		{Phone: number(30), Does: "held for quality assessment, then sent and delivered", held: true},
		{Phone: number(31), Does: "held for quality assessment, then fails with 132015", held: true, fault: Fault{Do: Fail, Code: 132015}},

		{Phone: number(40), Does: "the first message is refused with 130429, later ones are accepted", first: 130429},
		{Phone: number(41), Does: "the first message is refused with 131056, later ones are accepted", first: 131056},
		{Phone: number(42), Does: "the first message is refused with 131000, later ones are accepted", first: 131000},
		{Phone: number(43), Does: "the first message is refused with 131047, later ones are accepted", first: 131047},
	}
}

// magics is the table as it is looked up, by digits.
func magics() map[string]*Magic {
	all := map[string]*Magic{}
	for _, m := range magicOutcomes() {
		all[digits(m.Phone)] = &m
	}
	return all
}

// magic returns the magic outcome of a recipient, nil for none.
func (s *Simulator) magic(phone string) *Magic {
	if !strings.HasPrefix(phone, "33") || len(phone) != 11 {
		return nil
	}
	switch phone[:7] {
	case magicRefused:
		if code, ok := codeEnding(phone[7:]); ok {
			return &Magic{fault: Fault{Do: Error, Code: code}}
		}
	case magicFails:
		if code, ok := codeEnding(phone[7:]); ok {
			return &Magic{fault: Fault{Do: Fail, Code: code}}
		}
	case magicDoes:
		return s.magics[phone]
	}
	return nil
}

// isMagic reports whether a number lies in one of the ranges.
func isMagic(number string) bool {
	return len(number) == 11 && (strings.HasPrefix(number, magicRefused) || strings.HasPrefix(number, magicFails) || strings.HasPrefix(number, magicDoes))
}

// codeEnding is the error code that ends in four digits: one of messages, or one of the
// Graph API's own.
func codeEnding(end string) (int64, bool) {
	last, err := strconv.ParseInt(end, 10, 64)
	if err != nil {
		return 0, false
	}
	if e, ok := graph.Explain(130000 + last); ok && last != 0 && (e.Last == 0 || e.Class == graph.AccountBlocked) {
		return 130000 + last, true
	}
	switch last {
	case 0, 1, 2, 3, 4, 10, 17, 33, 100, 102, 104, 190, 200, 368, 613:
		return last, true
	case 7:
		return 80007, true
	}
	return 0, false
}
