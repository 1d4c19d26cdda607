// Package datasource reads what a configuration holds inline, in a file or in
// the environment (envoy.config.core.v3.DataSource). Factories call it on
// main; a file is read once.
package datasource
