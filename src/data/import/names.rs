//! What columns are called.

/// Names that mean a user, the surest first, ids before names that people read; compared without case,
/// blanks and punctuation.
pub(super) const USER: &[&str] = &[
    "userid",
    "uid",
    "usernumber",
    "memberid",
    "customerid",
    "visitorid",
    "reviewerid",
    "accountid",
    "profileid",
    "clientid",
    "user",
    "username",
    "member",
    "customer",
    "visitor",
    "reviewer",
    "account",
    "profile",
    "listener",
    "client",
    "person",
    "sessionid",
    "session",
];
pub(super) const ITEM: &[&str] = &[
    "itemid",
    "iid",
    "movieid",
    "productid",
    "parentasin",
    "asin",
    "sku",
    "stockcode",
    "trackid",
    "songid",
    "artistid",
    "bookid",
    "isbn",
    "gameid",
    "videoid",
    "articleid",
    "newsid",
    "businessid",
    "venueid",
    "poiid",
    "locationid",
    "animeid",
    "recipeid",
    "contentid",
    "item",
    "movie",
    "product",
    "track",
    "song",
    "artist",
    "book",
    "game",
    "video",
    "article",
    "news",
    "business",
    "venue",
    "poi",
    "anime",
    "recipe",
];
pub(super) const TIME: &[&str] = &[
    "timestamp",
    "time",
    "ts",
    "datetime",
    "date",
    "unixtime",
    "unixtimestamp",
    "timestampms",
    "unixreviewtime",
    "eventtime",
    "eventtimestamp",
    "eventdate",
    "createdat",
    "created",
    "reviewtime",
    "reviewdate",
    "ratingtimestamp",
    "ratingtime",
    "interactiontime",
    "watchedat",
    "playedat",
    "viewedat",
    "visitedat",
    "checkintime",
    "invoicedate",
    "orderdate",
    "purchasedate",
    "dateadded",
    "dateupdated",
];
pub(super) const RATING: &[&str] = &[
    "rating",
    "ratings",
    "score",
    "stars",
    "star",
    "overall",
    "ratingvalue",
    "starrating",
    "userrating",
];

/// The first column that is called by the surest of `names`.
pub(super) fn by_name<'a>(columns: &'a [String], names: &[&str]) -> Option<&'a str> {
    let plain: Vec<String> = columns.iter().map(|column| plain(column)).collect();
    let column = names.iter().find_map(|name| plain.iter().position(|plain| plain == name))?;
    Some(&columns[column])
}

/// A column's name in lower case, letters and digits only, without RecBole's type.
fn plain(column: &str) -> String {
    let letters = without_type(column).chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

pub(super) fn without_type(column: &str) -> &str {
    match column.rsplit_once(':') {
        Some((name, "token" | "token_seq" | "float" | "float_seq")) => name,
        _ => column,
    }
}
