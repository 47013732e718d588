package main

import (
	"time"

	"facteur/flow/schema"

	"github.com/spf13/pflag"
)

// A durationFlag takes a duration as flows write it, days too; zero when it is not given.
type durationFlag time.Duration

var _ pflag.Value = (*durationFlag)(nil)

// Set implements pflag.Value.
func (d *durationFlag) Set(text string) error {
	v, err := schema.ParseDuration(text)
	if err == nil {
		*d = durationFlag(v)
	}
	return err
}

// String implements pflag.Value. The zero duration is no default worth showing.
func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return schema.FormatDuration(time.Duration(*d))
}

// Type implements pflag.Value.
func (*durationFlag) Type() string { return "duration" }
