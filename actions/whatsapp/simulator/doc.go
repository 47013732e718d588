// Package simulator stands in for the WhatsApp Cloud API: use it to try a flow without an
// account, and to test what happens on errors, limits, webhooks and lost answers.
//
// A Simulator is an http.Handler: give its address as base_url to a connection, or as the
// base URL to any other client of the API. It validates messages with the rules of package
// whatsapp, and answers with its catalogue of errors. At / it serves a page with the
// phones of the people who are written to. The control API below ControlPath does what the
// methods of Simulator do; control.txt, which is served there, describes it.
//
// # Open and declared worlds
//
// What a Scene leaves out is open. Without accounts, any phone number ID belongs to
// one account (DefaultAccountID), uploads need not exist, and no limit applies, so that a
// message outside the 24-hour window is delivered with a warning on the page. Without
// tokens, any token is valid, but the request must have one, in the header, the address or the
// body. Without templates, any template exists, and is drawn with its parameters alone;
// once a template is known, others do not exist (132001). With accounts declared, IDs
// must be known, and all limits are Meta's. Limits sets each of them for either world.
//
// # Magic recipients
//
// Some recipients have a fixed outcome: Magics lists them. Their numbers lie in ranges that the
// French regulator reserves for fiction, so that nobody is reached should a flow with one run
// against the real API.
//
// # What is simulated
//
// Endpoints, from v19.0 to v25.0 and without a version; older ones are answered as v19.0, as Meta does:
//
//	POST /{number}/messages            yes: send, mark as read, typing; JSON and forms
//	POST /{number}/marketing_messages  yes: accepts only templates, and treats them as messages
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
//	/{number}/request_code, verify_code no: there is no telephone
//	/{app}/uploads (resumable)         no: example files of templates are not checked
//	message_history, analytics, flows, qr codes, block_users, groups, calls, commerce settings
//	                                   no: flows do not use them
//
// Refusals:
//
//	unknown IDs, paths, versions       100/33, 2500, as the Graph API
//	tokens: none, wrong, expired …     104, 190 with 458, 460, 463, 467; scopes 200; accounts 100/33
//	form and limits of messages        by the rules of package whatsapp: 100, 131008, 131009, 132018, 131062
//	keys that Meta does not document   refused with 100, as Meta documents; also a key of another type of message,
//	                                   such as parameters in the action of a request for a location
//	which of several errors            one, as Meta does; which one Meta picks is not documented
//	templates                          132000, 132001, 132005, 132012, 132015, 132016, 131008; 132007 by recipient only
//	recipients: malformed, the sender  131009, 131021
//	numbers without +                  accepted where they are valid with their country code, as senders of
//	                                   replies write them; otherwise the sender's country code is prepended
//	Brazil and Mexico, other wa_id     by Person.WaID and one magic recipient: Meta's rewriting is not documented
//	business-scoped user IDs           yes, in both directions; Person declares them
//	groups                             messages are accepted; there is no state of groups
//	the number's status                131031, 131048, 133010 unless it is CONNECTED
//	test numbers                       131030 outside their list of five
//	payment, policies, countries       by recipient and fault only
//	the same request twice             two messages: there is no idempotency key
//
// Limits, by the clock that Advance moves:
//
//	throughput of a number             130429; only sent messages count
//	pair: one in 6 s, 45 at once       131056
//	portfolio: new people in 24 hours  131048, as Meta documents no code; tiers do not grow
//	management calls, 5000 an hour     80007, with X-Business-Use-Case-Usage
//	24-hour window                     131047 by webhook, or at once: Limits.Window
//	marketing: opt-out                 131050, by Person.OptOut; per-user limits and experiments by recipient only
//	marketing to the United States     no: 131049 by recipient
//	template pausing, pacing, quality  only by ChangeTemplate, with webhooks
//	quality of numbers                 only by ChangeNumber, with webhooks
//	undelivered messages               never expire
//
// Webhooks:
//
//	handshake, signature               hub.challenge; SHA-256 and SHA-1 of a body in ASCII, with / escaped as \/
//	statuses sent, delivered, read, failed  in order, after the delays of Statuses; out of order, twice, late or never by fault or recipient
//	conversation, pricing              on sent; conversation below v24 only
//	messages of people                 text, image, video, audio, document, sticker, location, contacts, reaction, button,
//	                                   interactive (button, list, nfm, call permission), order, system, unsupported, request_welcome
//	several in one body                with Webhook.Batch
//	not answered with 200              sent again after 1, 4, 16 … seconds, at most an hour, for seven days
//	message_template_status_update, phone_number_quality_update  yes; other fields: no
//	played, deleted, warning           no
//	client certificates (mTLS), other addresses  no
//
// Answers have the HTTP headers of the Graph API, an fbtrace_id, wamids in WhatsApp's format,
// cursors and links of pages, and message_status for templates and held messages. Reactions
// only ever reach the state sent. Latency is only simulated by Delay.
package simulator
