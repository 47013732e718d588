// Package simulator stands in for the WhatsApp Cloud API: use it to try a flow without an
// account, and to test what errors, limits, webhooks and lost answers lead to.
package simulator
