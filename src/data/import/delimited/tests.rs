//! Lines into fields, with quotes as they are meant and as they are not.

use super::*;

fn fields(text: &str, format: Format) -> Vec<Vec<String>> {
    let mut records = Records::new(text.as_bytes(), format);
    let mut all = Vec::new();
    while records.advance().unwrap() {
        let record = records.record();
        let text = |i| String::from_utf8(record.get(i).to_vec()).unwrap();
        all.push((0..record.len()).map(text).collect());
    }
    all
}

#[test]
fn double_colons() {
    let rows = fields("1::2::3::4\n\n a : b ::c::\n", Format::MovieLens);
    assert_eq!(rows[0], ["1", "2", "3", "4"]);
    assert_eq!(rows[1], ["a : b", "c", ""]);
}

#[test]
fn quotes_may_hold_separators_quotes_and_line_breaks() {
    let text = "a,\"b, \"\"c\"\"\",d\n\"x\ny\", \"z\" ,\n1,2\" disc,3\n";
    let rows = fields(text, Format::Delimited(b','));
    assert_eq!(rows[0], ["a", "b, \"c\"", "d"]);
    assert_eq!(rows[1], ["x\ny", "z", ""]);
    assert_eq!(rows[2], ["1", "2\" disc", "3"]);
}

#[test]
fn a_record_over_lines_has_the_number_of_its_first() {
    let text = "a,b\n\"x\ny\",1\nc,d\n";
    let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
    let mut numbers = Vec::new();
    while records.advance().unwrap() {
        numbers.push(records.number());
    }
    assert_eq!(numbers, [1, 2, 4]);
}

#[test]
fn quotes_mean_nothing_between_tabs_but_are_dropped_around_a_field() {
    let rows = fields("\"open\t\"shut\"\n", Format::Delimited(b'\t'));
    assert_eq!(rows[0], ["\"open", "shut"]);
}

#[test]
fn a_stray_quote_is_text_and_swallows_no_rows() {
    let rows = |text: &str| fields(text, Format::Delimited(b','));
    let filler = "7,x,3\n".repeat(40);
    // Two stray ones, far apart; and as Spark and MySQL escape a quote.
    let text = format!(
        "u,t,r\n1,\"Weird al,5\n{filler}2,\"Heroes\" album,4\n3,\"Vinyl 12\\\"\",2\n4,y,1\n"
    );
    let all = rows(&text);
    assert_eq!(all.len(), 45);
    assert_eq!(all[1], ["1", "\"Weird al", "5"]);
    assert_eq!(all[42], ["2", "\"Heroes\" album", "4"]);
    assert_eq!(all[43], ["3", "Vinyl 12\\\"", "2"]);
    assert_eq!(all[44], ["4", "y", "1"]);
    assert_eq!(rows("u,t,r\n3,\"Vinyl 12\\\"\",2\n4,y,1\n").len(), 3);
    // Closed as it should be, far below: rows between are still rows.
    let closed = format!("u,t,r\n1,\"open,5\n{filler}2,shut\",4\n");
    assert_eq!(rows(&closed).len(), 43);
    // A text of several lines, some of them with commas.
    let review = "u,t,r\n1,\"Good, but\nlong, slow, dark\nand loud\nat times\",5\n2,x,4\n";
    let all = rows(review);
    assert_eq!(all.len(), 3);
    assert_eq!(all[1][1], "Good, but\nlong, slow, dark\nand loud\nat times");
    // The last one is closed by nothing.
    assert_eq!(rows(&format!("u,t,r\n1,\"Weird al,5\n{filler}")).len(), 42);
    // In the first record, where nothing is known of others.
    assert_eq!(rows(&format!("1,\"Weird al,5\n{filler}2,y\",4\n")).len(), 42);
    // Reviews whose lines look like rows, for a few lines.
    let review = "u,t,r\n1,\"Good, but\nlong, slow, dark\nand, so, loud\nend\",5\n2,x,4\n";
    assert_eq!(rows(review).len(), 3);
    // Lines that end one quote and open another are looked at once.
    let reopening = "7,x\",\"3\n".repeat(20_000);
    assert_eq!(rows(&format!("u,t,r\n1,\"a,5\n{reopening}")).len(), 20_002);
    // Numbers are those of the lines.
    let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
    let mut numbers = Vec::new();
    while records.advance().unwrap() {
        numbers.push(records.number());
    }
    assert_eq!(numbers, (1..=45).collect::<Vec<u64>>());
}

#[test]
fn the_separator_that_excel_names_is_no_record() {
    let text = "sep=;\na;b;c\n1;2;3\n";
    assert_eq!(detect(text.as_bytes()), Some(Format::Delimited(b';')));
    assert_eq!(fields(text, Format::Delimited(b';'))[0], ["a", "b", "c"]);
}

#[test]
fn an_open_quote_is_a_fault_at_the_line_it_opens_and_in_linear_time() {
    let text = format!("a,b\n\"c,d\n{}", "words\n".repeat(1_000_000));
    let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
    assert!(records.advance().unwrap());
    assert!(matches!(records.advance(), Err(Fault::OpenQuote)));
    assert_eq!(records.number(), 2);
}

#[test]
fn formats_are_told_from_the_first_lines() {
    let is = |head: &str, format| assert_eq!(detect(head.as_bytes()), format, "{head}");
    is("1::2::3::4\n", Some(Format::MovieLens));
    is("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n", Some(Format::RecBole));
    is("196\t242\t3\t881250949\n", Some(Format::Delimited(b'\t')));
    is("user;item;rating;time\n1;2;3,5;4\n2;2;4,5;4\n", Some(Format::Delimited(b';')));
    is("1;2;3,5;4\n2;2;4,5;4\n", Some(Format::Delimited(b';')));
    is("movieId,title,genres\n1,\"A, B\",X|Y\n", Some(Format::Delimited(b',')));
    is("1|Toy, A|01-Jan-1995||0|1\n2|Eye|01-Jan-1995||0|1\n", Some(Format::Delimited(b'|')));
    is("2013-04-01 12:30:00,1,2\n", Some(Format::Delimited(b',')));
    is("just words\n", None);
}
