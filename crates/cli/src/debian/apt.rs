//! Finds and downloads the packages with apt, under a configuration of our own: apt verifies what it loads as it does
//! for the host, with the host's sources and keys, but its lists, caches and state are in our folder. Nothing of the
//! host's apt is written, and no rights are needed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::cache::{Cache, Packages};
use super::progress::Progress;

/// The package that depends on the newest kernel.
const KERNEL: &str = "linux-image-cloud-arm64";
const BUSYBOX: &str = "busybox-static";
const LISTS: &str = "Reading Debian's package lists";

/// Downloads the newest kernel and busybox into the cache. `suite`: see [`Request`](super::Request).
pub(super) fn download(cache: &Cache, suite: Option<&str>, progress: &dyn Progress) -> Result<Packages> {
    progress.at(LISTS, Some(0.0));
    let apt = Apt::set_up(&cache.folder().join("apt"), suite)?;
    // A source that has nothing to do with this may fail, so what counts is whether the packages are found.
    let update = apt.run("apt-get", &["-qq", "update"], &mut |percent| progress.at(LISTS, Some(percent)))?;
    let kernel = apt.real_kernel().with_context(|| match update.complaints.lines().next() {
        Some(first) => format!("apt cannot read the mirror's package lists (is the network there?): {first}"),
        None => format!(
            "apt's sources on this host have no {KERNEL} for arm64 (it is in Debian's archive; a source restricted \
             by [arch=...] needs arm64 in its list)"
        ),
    })?;
    let files = apt.resolve(&[&kernel, BUSYBOX])?;
    let find = |name: &str| {
        let of = |f: &&Remote| f.name.starts_with(&format!("{name}_"));
        files.iter().find(of).with_context(|| format!("apt's sources on this host have no {name} for arm64"))
    };
    let all = [find(&kernel)?, find(BUSYBOX)?];
    let total: u64 = all.iter().map(|f| f.size).sum();
    let mut before = 0;
    let mut paths = Vec::new();
    for file in all {
        let what = format!("Downloading {}", file.name.split('_').next().unwrap_or_default());
        let done = |percent: f32| (before as f32 * 100.0 + percent * file.size as f32) / total.max(1) as f32;
        paths.push(apt.fetch(file, &cache.folder().join("packages"), &mut |p| progress.at(&what, Some(done(p))))?);
        before += file.size;
    }
    Ok(Packages { kernel: paths.swap_remove(0), busybox: paths.swap_remove(0) })
}

/// apt with our configuration.
struct Apt {
    config: PathBuf,
}

/// What a run of apt said.
struct Run {
    ok: bool,
    output: String,
    /// Its errors and warnings, a line each, without `E: ` and `W: `.
    complaints: String,
}

/// A package on the mirror: what `apt-get --print-uris` prints.
#[derive(Debug, PartialEq, Eq)]
struct Remote {
    uri: String,
    name: String,
    size: u64,
    /// With its kind, as `SHA256:...`, from the signed package list.
    hash: String,
}

impl Apt {
    fn set_up(folder: &Path, suite: Option<&str>) -> Result<Self> {
        if Command::new("apt-get").arg("--version").output().is_err() {
            bail!("this host has no apt: Debian's packages can be fetched on Debian and its relatives only");
        }
        for inside in ["state", "lists/partial", "cache/archives/partial", "sources"] {
            fs::create_dir_all(folder.join(inside))?;
        }
        fs::write(folder.join("status"), "")?;
        let apt = Self { config: folder.join("apt.conf") };
        fs::write(&apt.config, configuration(folder, None)?)?;
        if let Some(suite) = suite {
            let sources = folder.join("sources.list");
            fs::write(&sources, apt.source_of(suite)?)?;
            fs::write(&apt.config, configuration(folder, Some(&sources))?)?;
        }
        Ok(apt)
    }

    /// A source for `suite` on the mirror that the host's apt has for Debian.
    fn source_of(&self, suite: &str) -> Result<String> {
        let run = self.run("apt-get", &["--print-uris", "update"], &mut |_| {})?;
        let site = run.output.lines().find_map(mirror_in).with_context(|| {
            format!("apt's sources on this host name no Debian mirror, so that the suite {suite} cannot be found")
        })?;
        let keys = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
        let signed = if keys.is_file() { format!(" signed-by={}", keys.display()) } else { String::new() };
        Ok(format!("deb [arch=arm64{signed}] {site} {suite} main\n"))
    }

    /// The kernel package behind the one which only depends on it.
    fn real_kernel(&self) -> Result<String> {
        let show = self.run("apt-cache", &["show", "--no-all-versions", KERNEL], &mut |_| {})?;
        depends_on_kernel(&show.output).with_context(|| format!("there is no {KERNEL}"))
    }

    fn resolve(&self, packages: &[&str]) -> Result<Vec<Remote>> {
        let run = self.run("apt-get", &[&["--print-uris", "download"], packages].concat(), &mut |_| {})?;
        if !run.ok {
            bail!("apt: {}", run.complaints.trim_end());
        }
        Ok(run.output.lines().filter_map(Remote::parse).collect())
    }

    /// Downloads a package and verifies it. A partial file is continued where the mirror says when it last changed.
    fn fetch(&self, file: &Remote, into: &Path, percent: &mut dyn FnMut(f32)) -> Result<PathBuf> {
        let path = into.join(&file.name);
        if path.metadata().is_ok_and(|m| m.len() == file.size) {
            return Ok(path);
        }
        let partial = into.join(format!("{}.part", file.name));
        let target = partial.to_str().context("the cache folder's name is not UTF-8")?;
        let run =
            self.run("/usr/lib/apt/apt-helper", &["-qq", "download-file", &file.uri, target, &file.hash], percent)?;
        if !run.ok {
            bail!("{} could not be downloaded; what is here already is kept: {}", file.name, run.complaints.trim_end());
        }
        fs::File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &path)?;
        Ok(path)
    }

    fn run(&self, program: &str, arguments: &[&str], percent: &mut dyn FnMut(f32)) -> Result<Run> {
        // apt ends with us, also when we are killed: it would hold its locks until its mirror has answered.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", program, "-c"])
            .arg(&self.config)
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{program} cannot be run"))?;
        let mut errors = child.stderr.take().context("no standard error")?;
        let errors = std::thread::spawn(move || {
            let mut all = Vec::new();
            errors.read_to_end(&mut all).map(|_| String::from_utf8_lossy(&all).into_owned())
        });
        let mut output = String::new();
        for line in BufReader::new(child.stdout.take().context("no standard output")?).lines() {
            let line = line?;
            match progress_of(&line) {
                Some(p) => percent(p),
                None => output.extend([line.as_str(), "\n"]),
            }
        }
        let ok = child.wait()?.success();
        let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
        let said = errors.lines().filter_map(|l| l.strip_prefix("E: ").or_else(|| l.strip_prefix("W: ")));
        Ok(Run { ok, output, complaints: said.flat_map(|l| [l.trim(), "\n"]).collect() })
    }
}

impl Remote {
    /// A line such as `'http://.../x_1.deb' x_1_arm64.deb 1234 SHA256:abcd`. Without a strong hash it is refused.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let uri = words.next()?.strip_prefix('\'')?.strip_suffix('\'')?.to_owned();
        let name = words.next()?.to_owned();
        let size = words.next()?.parse().ok()?;
        let hash = words.next()?.to_owned();
        let strong = hash.starts_with("SHA256:") || hash.starts_with("SHA512:");
        (strong && !name.contains('/')).then_some(Self { uri, name, size, hash })
    }
}

/// The Debian mirror in a line such as `'http://.../debian/dists/bookworm/InRelease' ...`; other archives are none.
fn mirror_in(line: &str) -> Option<String> {
    let (site, _) = line.strip_prefix('\'')?.split_once("/dists/")?;
    site.trim_end_matches('/').ends_with("/debian").then(|| site.to_owned())
}

/// The percentage in a line of apt's status descriptor: `dlstatus:2:12.9670:Retrieving file 2 of 2`.
fn progress_of(line: &str) -> Option<f32> {
    line.strip_prefix("dlstatus:")?.split(':').nth(1)?.parse().ok()
}

/// The real kernel in the `Depends:` of a package's description.
fn depends_on_kernel(description: &str) -> Option<String> {
    let depends = description.lines().find_map(|l| l.strip_prefix("Depends: "))?;
    let mut names = depends.split(',').filter_map(|d| d.split_whitespace().next());
    names.find(|n| n.starts_with("linux-image-")).map(str::to_owned)
}

/// The private configuration, read after the host's own, which keeps proxies and the like.
fn configuration(folder: &Path, sources: Option<&Path>) -> Result<String> {
    let quoted = |path: &Path| match path.to_str() {
        Some(p) if !p.contains(['"', '\n', ';']) => Ok(format!("\"{p}\"")),
        _ => bail!("apt cannot use the folder {}: set XDG_CACHE_HOME to one with a plain name", path.display()),
    };
    let inside = |name: &str| quoted(&folder.join(name));
    let sources = match sources {
        Some(list) => {
            format!("Dir::Etc::SourceList {};\nDir::Etc::SourceParts {};\n", quoted(list)?, inside("sources")?)
        }
        None => String::new(),
    };
    Ok(format!(
        r##"#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear APT::Architectures;
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Default-Release "";
APT::Sandbox::User "root";
APT::Status-Fd "1";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
Dir::State {state};
Dir::State::Lists {lists};
Dir::State::Status {status};
Dir::Cache {cache};
Dir::Etc::Preferences {none};
Dir::Etc::PreferencesParts {parts};
{sources}"##,
        state = inside("state")?,
        lists = inside("lists")?,
        status = inside("status")?,
        cache = inside("cache")?,
        none = inside("no-preferences")?,
        parts = inside("sources")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_prints_is_understood() {
        assert_eq!(progress_of("dlstatus:2:12.9670:Retrieving file 2 of 2"), Some(12.967));
        assert_eq!(progress_of("Package: x"), None);
        let good = "'http://m/d/b_1%2b2.deb' b_1%3a2_arm64.deb 822236 SHA256:73";
        let parsed = Remote::parse(good).unwrap();
        assert_eq!(
            (parsed.name.as_str(), parsed.size, parsed.hash.as_str()),
            ("b_1%3a2_arm64.deb", 822_236, "SHA256:73")
        );
        for bad in ["", "'u' n 1", "'u' n 1 MD5Sum:7", "'u' ../n 1 SHA256:7", "u n 1 SHA256:7", "'u' n x SHA256:7"] {
            assert_eq!(Remote::parse(bad), None, "{bad}");
        }
        let meta = "Package: linux-image-cloud-arm64\nDepends: foo, linux-image-6.1.0-56-cloud-arm64 (= 6.1.192-2)\n";
        assert_eq!(depends_on_kernel(meta).as_deref(), Some("linux-image-6.1.0-56-cloud-arm64"));
        assert_eq!(depends_on_kernel("Package: x\n"), None);
    }

    #[test]
    fn the_mirror_is_the_one_of_debian_proper() {
        assert_eq!(mirror_in("'http://m.test/debian/dists/x/InRelease' n 0 ").as_deref(), Some("http://m.test/debian"));
        assert_eq!(mirror_in("'http://m.test/debian-security/dists/x-security/InRelease' n 0 "), None);
        assert_eq!(mirror_in("Reading"), None);
    }

    #[test]
    fn a_folder_that_would_end_a_string_in_the_configuration_is_refused() {
        assert!(configuration(Path::new("/a\"; DPkg::X \"y"), None).is_err());
        assert!(configuration(Path::new("/a b"), None).unwrap().contains("Dir::State \"/a b/state\";"));
    }
}
