package main

import "github.com/spf13/cobra"

// completeWords has the shell complete a flag's values.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeYAML has the shell complete a flag's values with configuration files.
func completeYAML(cmd *cobra.Command, flag string) {
	_ = cmd.MarkFlagFilename(flag, "yaml", "yml", "json")
}
