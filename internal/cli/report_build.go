package cli

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// build is what is told of a build, as compact JSON in JenkinsEnv.
type build struct {
	CI     string `json:"ci,omitempty"`
	Job    string `json:"job,omitempty"`
	Build  string `json:"build,omitempty"`
	URL    string `json:"url,omitempty"`
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
	Tag    string `json:"tag,omitempty"`
	Node   string `json:"node,omitempty"`
}

// maxFact bounds each value in characters, so that all together fit into
// JenkinsEnv also when JSON escapes them.
const maxFact = 250

// buildOf recognises the build system by the variables that it sets; "" for
// none. Of all variables only these are looked at.
func buildOf(env func(string) string) string {
	first := func(names ...string) string {
		for _, name := range names {
			if v := env(name); v != "" {
				return v
			}
		}
		return ""
	}
	var b build
	switch {
	case env("GITHUB_ACTIONS") == "true":
		b = build{
			CI: "github", Job: join(env("GITHUB_REPOSITORY"), first("GITHUB_WORKFLOW", "GITHUB_JOB")), Build: env("GITHUB_RUN_NUMBER"),
			Commit: env("GITHUB_SHA"), Node: env("RUNNER_NAME"),
		}
		if env("GITHUB_RUN_ID") != "" {
			b.URL = env("GITHUB_SERVER_URL") + "/" + env("GITHUB_REPOSITORY") + "/actions/runs/" + env("GITHUB_RUN_ID")
		}
		if b.Branch = first("GITHUB_HEAD_REF", "GITHUB_REF_NAME"); env("GITHUB_REF_TYPE") == "tag" {
			b.Branch, b.Tag = "", env("GITHUB_REF_NAME")
		}
	case env("GITLAB_CI") == "true":
		b = build{
			CI: "gitlab", Job: join(env("CI_PROJECT_PATH"), env("CI_JOB_NAME")), Build: first("CI_PIPELINE_IID", "CI_PIPELINE_ID"), URL: env("CI_JOB_URL"),
			Commit: env("CI_COMMIT_SHA"), Branch: first("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH"), Tag: env("CI_COMMIT_TAG"), Node: env("CI_RUNNER_DESCRIPTION"),
		}
	case env("JENKINS_URL") != "" || env("JENKINS_HOME") != "" || strings.HasPrefix(env("BUILD_TAG"), "jenkins-"):
		b = build{
			CI: "jenkins", Job: env("JOB_NAME"), Build: env("BUILD_NUMBER"), URL: env("BUILD_URL"), Commit: env("GIT_COMMIT"),
			Branch: first("CHANGE_BRANCH", "BRANCH_NAME", "GIT_LOCAL_BRANCH", "GIT_BRANCH"), Tag: env("TAG_NAME"), Node: env("NODE_NAME"),
		}
	default:
		return ""
	}
	return b.text()
}

func join(a, b string) string { return strings.Trim(a+"/"+b, "/") }

// text is the compact JSON. Passwords that somebody has put into a URL are left
// out.
func (b build) text() string {
	if u, err := url.Parse(b.URL); err != nil {
		b.URL = ""
	} else {
		u.User, u.RawQuery = nil, ""
		b.URL = u.String()
	}
	for _, v := range []*string{&b.Job, &b.Build, &b.URL, &b.Commit, &b.Branch, &b.Tag, &b.Node} {
		r := slices.DeleteFunc([]rune(*v), unicode.IsControl)
		*v = string(r[:min(len(r), maxFact)])
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(b) // texts always encode
	return strings.TrimSpace(out.String())
}
