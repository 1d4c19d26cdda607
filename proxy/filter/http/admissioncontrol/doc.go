// Package admissioncontrol is the HTTP filter
// envoy.filters.http.admission_control: when too many of the last seconds'
// requests have failed, it refuses a share of those that come, so that the
// upstream can recover ("client-side throttling" of Google's SRE book, chapter
// 21). Each worker counts its own requests. The connection manager makes
// filters by [Maker].
package admissioncontrol
