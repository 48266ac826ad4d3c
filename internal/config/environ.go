package config

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// Inherited are the variables that a child gets from us without being asked for; all
// others, our secrets among them, stay with us unless the server's inheritEnv names
// them. It is about finding programs, one's home, language, proxies and certificates:
//
//	everywhere   PATH HOME USER LOGNAME SHELL TERM TZ TMPDIR
//	             LANG LANGUAGE LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME
//	             HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY, and the same in lower case
//	             SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
//	on Windows   SystemRoot SystemDrive windir ComSpec PATHEXT APPDATA LOCALAPPDATA ProgramData
//	             ProgramFiles ProgramFiles(x86) ProgramW6432 CommonProgramFiles USERPROFILE USERNAME
//	             HOMEDRIVE HOMEPATH TEMP TMP PROCESSOR_ARCHITECTURE NUMBER_OF_PROCESSORS, in any case
var Inherited = inherited(runtime.GOOS)

func inherited(goos string) []string {
	list := []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR",
		"LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	}
	if goos == "windows" {
		list = append(list,
			"SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "APPDATA", "LOCALAPPDATA", "ProgramData",
			"ProgramFiles", "ProgramFiles(x86)", "ProgramW6432", "CommonProgramFiles", "USERPROFILE", "USERNAME",
			"HOMEDRIVE", "HOMEPATH", "TEMP", "TMP", "PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS")
	}
	return list
}

// Environ is what this server's child gets as its environment, as KEY=VALUE, each key
// once: of our own (env; os.Environ if nil) what Inherited and InheritEnv name, then
// Env, which wins.
func (s Server) Environ(env func() []string) []string {
	if env == nil {
		env = os.Environ
	}
	return s.environ(runtime.GOOS, env())
}

func (s Server) environ(goos string, ours []string) []string {
	// Windows has one variable for PATH, Path and path.
	fold := func(key string) string { return key }
	if goos == "windows" {
		fold = strings.ToUpper
	}
	basic := make(map[string]bool)
	for _, k := range inherited(goos) {
		basic[fold(k)] = true
	}
	asked := make(map[string]bool)
	for _, k := range s.InheritEnv {
		asked[fold(k)] = true
	}
	var list []string
	place := make(map[string]int)
	set := func(key, value string) {
		k := fold(key)
		if i, ok := place[k]; ok {
			list[i] = key + "=" + value
			return
		}
		place[k] = len(list)
		list = append(list, key+"="+value)
	}
	for _, kv := range ours {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" { // Windows keeps the folder of each drive as =C:=C:\dir
			continue
		}
		// An exported shell function is a program in a variable; only by request.
		if asked[fold(key)] || basic[fold(key)] && !strings.HasPrefix(value, "()") {
			set(key, value)
		}
	}
	for _, v := range s.Env {
		set(v.Name, v.Value.Reveal())
	}
	return slices.Clip(list)
}
