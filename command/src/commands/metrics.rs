//! `tenure metrics`: figures of running processes for Prometheus and whatever reads its format.

use super::Command;
use crate::metrics::{self, Scraped};
use crate::{Failure, client, print, processes, snapshot};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use tiny_http::{Header, Method, Request, Response, Server};

pub const COMMAND: Command = Command { name: "metrics", describe, run };

/// What readers of the format ask for and are told.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Prints how much memory pools, clients and arrays hold, as OpenMetrics text for Prometheus")
        .after_help(
            "A process answers if it listens (TENURE_LISTEN=1). One that does not answer has tenure_up 0.\n\
             The text has counts and bytes by pool, client, device and reason; no names or call sites of arrays.",
        )
        .arg(
            Arg::new("process")
                .value_name("PID")
                .num_args(0..)
                .value_parser(value_parser!(u32))
                .help("Processes that listen; without one, all of this user that listen"),
        )
        .arg(
            Arg::new("all")
                .short('a')
                .long("all")
                .action(ArgAction::SetTrue)
                .conflicts_with("process")
                .help("Those of all users that answer this one"),
        )
        .arg(
            Arg::new("listen").long("listen").value_name("[ADDRESS:]PORT").value_parser(address).help(
                "Serves the text at http://ADDRESS:PORT/metrics until it is ended; without an address, on 127.0.0.1",
            ),
        )
}

/// An address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()),
        Err(_) => text
            .parse()
            .map_err(|_| "write a port, such as 9464, or an address with one, such as [::1]:9464".to_owned()),
    }
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let chosen: Vec<u32> = arguments.get_many("process").unwrap_or_default().copied().collect();
    let of_all_users = arguments.get_flag("all");
    let Some(&address) = arguments.get_one::<SocketAddr>("listen") else {
        let scraped = scrape(&chosen, of_all_users)?;
        print(&metrics::text(&scraped))?;
        let silent = scraped.iter().all(|process| process.report.is_none());
        return Ok(if silent && !chosen.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    };
    let server = Server::http(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    print(&format!("serving http://{}/metrics\n", server.server_addr()))?;
    for request in server.incoming_requests() {
        // A client that goes away is no failure.
        let _ = answer(request, &chosen, of_all_users);
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(request: Request, chosen: &[u32], of_all_users: bool) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(Response::from_string("only GET is answered\n").with_status_code(405));
    }
    if request.url().split('?').next() != Some("/metrics") {
        return request.respond(Response::from_string("the metrics are at /metrics\n").with_status_code(404));
    }
    match scrape(chosen, of_all_users) {
        Ok(scraped) => {
            let kind = Header::from_bytes("Content-Type", CONTENT_TYPE).expect("plain text");
            request.respond(Response::from_string(metrics::text(&scraped)).with_header(kind))
        }
        Err(why) => request.respond(Response::from_string(why + "\n").with_status_code(500)),
    }
}

/// Asks the chosen processes, or all that listen.
fn scrape(chosen: &[u32], of_all_users: bool) -> Result<Vec<Scraped>, Failure> {
    let chosen = if chosen.is_empty() { listening(of_all_users)? } else { chosen.to_vec() };
    let ask = |&process: &u32| {
        let report = client::quiet_page(process)
            .and_then(|json| snapshot::parse(&json, &format!("the answer of process {process}")))
            .inspect_err(|why| eprintln!("tenure metrics: {}", crate::text::printable(why)));
        Scraped { process, command: processes::name(process), report: report.ok() }
    };
    Ok(chosen.iter().map(ask).collect())
}

fn listening(of_all_users: bool) -> Result<Vec<u32>, Failure> {
    let found = processes::scan(&processes::of_users(of_all_users)?, |_| ());
    Ok(found.processes.iter().filter(|process| process.listens).map(|process| process.process).collect())
}
