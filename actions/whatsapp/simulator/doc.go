// Package simulator stands in for the WhatsApp Cloud API: use it to try a flow without an
// account, and to test what errors, limits, webhooks and lost answers lead to.
//
// A Simulator is an http.Handler: give its address as base_url to a connection, or as the
// base URL to any other client of the API. It judges messages with the rules of package
// whatsapp, and answers with its catalogue of errors. At / it serves a page with the
// phones of those who are written to.
//
// # Open and declared worlds
//
// What a Scene leaves out is open. Without accounts, any phone number ID is a number of
// one account (DefaultAccountID), uploads need not be there, and no limit holds, so that a
// message outside the 24-hour window is delivered with a warning on the page. Without
// tokens, any token is good, but one there must be, in the header, the address or the
// body. Without templates, any template is there, and is drawn with its parameters alone;
// once a template is known, others are not there (132001). With accounts declared, IDs
// must be known, and all limits are Meta's. Limits sets each of them for either world.
//
// # Recipients that do something by themselves
//
// Magics is the table, also at /_simulator/magic. The numbers lie in ranges that the
// French regulator keeps for fiction, so that nobody is reached should a flow with one run
// against the real API:
//
//	+33 1 99 00 CCCC   refused at once with the code whose last four digits these are
//	+33 2 61 91 CCCC   accepted, and fails later, by webhook, with that code
//	+33 5 36 49 0001   nothing is heard of it
//	+33 5 36 49 0002   sent, never delivered
//	+33 5 36 49 0003   delivered and read
//	+33 5 36 49 0004   read, and not delivered before
//	+33 5 36 49 0005   delivered is told before sent
//	+33 5 36 49 0006   each status comes twice
//	+33 5 36 49 0007   statuses come an hour late
//	+33 5 36 49 0008   another wa_id than the number
//	+33 5 36 49 0010   read, then answers: oui
//	+33 5 36 49 0011   read, then answers: non
//	+33 5 36 49 0012   read, then answers: STOP
//	+33 5 36 49 0013   read, then answers with the message's own text
//	+33 5 36 49 0014   read, then presses the first button, or chooses the first row
//	+33 5 36 49 0015   the same with the second
//	+33 5 36 49 0016   read, then reacts with a thumb up
//	+33 5 36 49 0017   read, then answers with a picture
//	+33 5 36 49 0020   accepted; the connection is closed without an answer
//	+33 5 36 49 0021   accepted; no answer ever comes
//	+33 5 36 49 0022   not accepted; the connection is reset
//	+33 5 36 49 0023   accepted; the answer is cut
//	+33 5 36 49 0024   accepted; a gateway answers 502 with HTML
//	+33 5 36 49 0025   not accepted; a gateway answers 502 with HTML
//	+33 5 36 49 0026   accepted; the answer takes 5 seconds
//	+33 5 36 49 0027   accepted; the answer takes 60 seconds
//	+33 5 36 49 0030   held for quality assessment, then sent
//	+33 5 36 49 0031   held for quality assessment, then fails with 132015
//	+33 5 36 49 0040   the first message is refused with 130429, others are not
//	+33 5 36 49 0041   the same with 131056
//	+33 5 36 49 0042   the same with 131000
//	+33 5 36 49 0043   the same with 131047
//
// # The control API
//
// Below ControlPath, in JSON; the methods of Simulator do the same. Requests from other
// sites' pages are refused. ControlPath itself tells people all this, with examples.
//
//	GET  state                         the time, and the counts
//	GET  messages?person=&phone_number_id=&key=&type=&inbound=&limit=
//	GET  keys?prefix=                  how often each callback key was accepted: none is lost, two is twice
//	POST messages                      an Inbound: a person writes
//	POST tap, react, read              a person presses, reacts, reads
//	POST clock {"advance": "24h"}      moves the time
//	POST idle                          waits until the webhooks that are due were tried
//	POST reset                         begins the scene anew
//	GET, POST, DELETE faults           one Fault, or a list of them
//	POST webhook                       a Webhook, after its handshake
//	POST people, tokens, templates, numbers   a Person, Token, TemplateChange, NumberChange
//	GET  magic                         the recipients that do something by themselves
//
// # What of the platform is simulated
//
// Endpoints, from v19.0 to v25.0 and without a version; older ones are answered as v19.0, as Meta does:
//
//	POST /{number}/messages            yes: send, mark as read, typing; JSON and forms
//	POST /{number}/marketing_messages  yes: takes templates only, treats them as messages
//	POST /{number}/media               yes: kinds and sizes by type; files stay in memory, 128 MB together
//	GET, DELETE /{media}, its address  yes: addresses live 5 minutes, uploads 30 days, files of people 7
//	GET /{number}, /{waba}, /{app}     yes: fields, health_status; unknown fields are refused
//	GET /{waba}/phone_numbers          yes, with cursors
//	/{waba}/message_templates          yes: list, filter, page, make, delete; a review of 2 seconds
//	GET, POST /{template}              yes: read, change its text
//	/{waba}/subscribed_apps            yes, with override_callback_uri and its handshake
//	/{number}/whatsapp_business_profile yes
//	/{number}/register, deregister     yes, without the limit of 10 in 72 hours
//	GET /debug_token                   yes
//	/{number}/request_code, verify_code no: nobody has a telephone here
//	/{app}/uploads (resumable)         no: example files of templates are not looked at
//	message_history, analytics, flows, qr codes, block_users, groups, calls, commerce settings
//	                                   no: nothing in flows asks for them
//
// Refusals:
//
//	unknown IDs, paths, versions       100/33, 2500, as the Graph API
//	tokens: none, wrong, expired …     104, 190 with 458, 460, 463, 467; scopes 200; accounts 100/33
//	form and limits of messages        by the rules of package whatsapp: 100, 131008, 131009, 132018, 131062
//	keys that Meta does not document   refused, 100, as Meta says that it does; also a key that another kind of message
//	                                   has, such as parameters in the action of a request for a location
//	which of several errors is told    one, as Meta does; which one Meta picks is not documented
//	templates                          132000, 132001, 132005, 132012, 132015, 132016, 131008; 132007 by recipient only
//	recipients: malformed, oneself     131009, 131021
//	numbers without +                  taken as they are where they are a number of some country, as senders of
//	                                   replies write them; else the sender's country code goes before them
//	Brazil and Mexico, other wa_id     by Person.WaID and one number of the table: Meta's rewriting is not documented
//	business-scoped user IDs           yes, in both directions; who has one is said by Person
//	groups                             messages are taken; there is no state of groups
//	the number's status                131031, 131048, 133010 unless it is CONNECTED
//	test numbers                       131030 outside their list of five
//	rights to pay, policies, countries by recipient and fault only: they are facts of accounts that nobody has here
//	the same request twice             two messages: there is no idempotency key
//
// Limits, by the clock that Advance moves:
//
//	throughput of a number             130429; only what is sent counts, not what is received
//	pair: one in 6 s, 45 at once       131056
//	portfolio: new people in 24 hours  131048, for which Meta documents no code; tiers do not grow by themselves
//	management calls, 5000 an hour     80007, with X-Business-Use-Case-Usage
//	24-hour window                     131047 by webhook, or at once: Limits.Window
//	marketing: opt-out                 131050, by Person.OptOut; per-user limits and experiments by recipient only
//	marketing to the United States     no: a rule that comes and goes; 131049 by recipient
//	template pausing, pacing, quality  set by ChangeTemplate, with webhooks; not of themselves
//	quality of numbers                 set by ChangeNumber, with webhooks
//	messages that are not delivered    never expire: what is silent here stays so
//
// Webhooks:
//
//	handshake, signature               hub.challenge; SHA-256 and SHA-1 over bytes in which all is ASCII and / is \/
//	statuses sent, delivered, read, failed  in order, after Statuses; out of order, twice, late, never by fault or recipient
//	conversation, pricing              on sent; conversation below v24 only
//	messages of people                 text, image, video, audio, document, sticker, location, contacts, reaction, button,
//	                                   interactive (button, list, nfm, call permission), order, system, unsupported, request_welcome
//	several in one body                with Webhook.Batch
//	what is not answered with 200      comes again after 1, 4, 16 … seconds, an hour at most, for seven days
//	message_template_status_update, phone_number_quality_update  yes; other fields no: nothing here changes them
//	played, deleted, warning           no: of voice notes and older versions
//	client certificates (mTLS), other addresses  no: it is one process
//
// Of the answers: HTTP headers of the Graph API, fbtrace_id, wamids in WhatsApp's form,
// cursors and links of pages, message_status of templates and of held messages. Reactions
// are only ever sent. A rate of latency is not simulated but by Delay.
package simulator
